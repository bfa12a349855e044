from __future__ import annotations

import pytest

from ftpfs.errors import (
    AbsentError,
    BusyError,
    DeniedError,
    ExistsError,
    IsDirectoryError,
    NoSpaceError,
    NotDirectoryError,
    NotEmptyError,
    PassingError,
    QuotaError,
    RefusedError,
    UnsupportedError,
)
from ftpfs.remote.diagnose import State, diagnose
from ftpfs.wire.entry import Entry, Kind
from ftpfs.wire.reply import ReplyParser

FILE = State(Entry("a", Kind.FILE), parent_exists=True)
DIRECTORY = State(Entry("a", Kind.DIRECTORY), parent_exists=True)
FULL = State(Entry("a", Kind.DIRECTORY), parent_exists=True, has_children=True)
LINK = State(Entry("a", Kind.SYMLINK), parent_exists=True)
ABSENT = State(None, parent_exists=True)
ORPHAN = State(None, parent_exists=False)

# Where the state is None the reply alone is clear, and the server must not be asked.
ROWS: list[tuple[str, str, State | None, type[RefusedError]]] = [
    # vsftpd: one text for each command, whatever the cause
    ("RETR", "550 Failed to open file.", FILE, DeniedError),
    ("RETR", "550 Failed to open file.", DIRECTORY, IsDirectoryError),
    ("RETR", "550 Failed to open file.", ABSENT, AbsentError),
    ("RETR", "550 Failed to open file.", ORPHAN, AbsentError),
    ("CWD", "550 Failed to change directory.", FILE, NotDirectoryError),
    ("CWD", "550 Failed to change directory.", ABSENT, AbsentError),
    ("CWD", "550 Failed to change directory.", DIRECTORY, DeniedError),
    ("MKD", "550 Create directory operation failed.", FILE, ExistsError),
    ("MKD", "550 Create directory operation failed.", DIRECTORY, ExistsError),
    ("MKD", "550 Create directory operation failed.", ABSENT, DeniedError),
    ("MKD", "550 Create directory operation failed.", ORPHAN, AbsentError),
    ("RMD", "550 Remove directory operation failed.", FULL, NotEmptyError),
    ("RMD", "550 Remove directory operation failed.", DIRECTORY, DeniedError),
    ("RMD", "550 Remove directory operation failed.", FILE, NotDirectoryError),
    ("RMD", "550 Remove directory operation failed.", ABSENT, AbsentError),
    ("DELE", "550 Delete operation failed.", DIRECTORY, IsDirectoryError),
    ("DELE", "550 Delete operation failed.", FILE, DeniedError),
    ("DELE", "550 Delete operation failed.", LINK, DeniedError),
    ("DELE", "550 Delete operation failed.", ABSENT, AbsentError),
    ("STOR", "553 Could not create file.", ORPHAN, AbsentError),
    ("STOR", "553 Could not create file.", DIRECTORY, IsDirectoryError),
    ("STOR", "553 Could not create file.", ABSENT, DeniedError),
    ("STOR", "553 Could not create file.", FILE, DeniedError),
    ("RNFR", "550 RNFR command failed.", ABSENT, AbsentError),
    ("RNTO", "550 Rename failed.", ORPHAN, AbsentError),
    ("RNTO", "550 Rename failed.", DIRECTORY, IsDirectoryError),
    ("RNTO", "550 Rename failed.", FILE, DeniedError),
    ("SITE CHMOD", "550 SITE CHMOD command failed.", ABSENT, AbsentError),
    ("SITE CHMOD", "550 SITE CHMOD command failed.", FILE, DeniedError),
    ("STOR", "550 Permission denied.", None, DeniedError),
    ("RETR", "426 Failure reading network stream.", None, PassingError),
    ("MLSD", "426 Failure writing network stream.", None, PassingError),
    ("STOR", "451 Failure writing to local file.", None, RefusedError),
    ("RETR", "425 Failed to establish connection.", None, PassingError),
    # ProFTPD, pyftpdlib and Pure-FTPd: the text of strerror
    ("RETR", "550 /a: No such file or directory", None, AbsentError),
    ("RETR", "550 /a: Not a regular file", None, IsDirectoryError),
    ("RMD", "550 /a: Directory not empty", None, NotEmptyError),
    ("CWD", "550 /a: Not a directory", None, NotDirectoryError),
    ("MKD", "550 /a: File exists", None, ExistsError),
    ("DELE", "550 /a: Permission denied", None, DeniedError),
    ("DELE", "550 /a: Operation not permitted", None, DeniedError),
    ("STOR", "550 a: Read-only file system", None, DeniedError),
    ("STOR", "451 a: Disk quota exceeded", None, QuotaError),
    ("STOR", "552 Transfer aborted. No space left on device", None, NoSpaceError),
    ("RETR", "550 No such file or directory.", None, AbsentError),
    ("DELE", "550 Is a directory.", None, IsDirectoryError),
    ("RMD", "550 Directory not empty.", None, NotEmptyError),
    ("CWD", "550 Can't change directory to a: No such file or directory", None, AbsentError),
    ("STOR", "553 Can't open that file: Is a directory", None, IsDirectoryError),
    ("MKD", "550 Can't create directory: File exists", None, ExistsError),
    # IIS
    ("RETR", "550 The system cannot find the file specified. ", None, AbsentError),
    ("MKD", "550 Cannot create a file when that file already exists. ", None, ExistsError),
    ("RMD", "550 The directory is not empty. ", None, NotEmptyError),
    ("DELE", "550 Access is denied. ", None, DeniedError),
    # FileZilla Server
    ("RETR", "550 File not found", None, AbsentError),
    ("CWD", '550 CWD failed. "/a": directory not found.', None, AbsentError),
    ("MKD", "550 Directory already exists", None, ExistsError),
    # "does not exist" holds "exist"
    ("DELE", "550 a: file does not exist", None, AbsentError),
    ("DELE", "550 a doesn't exist", None, AbsentError),
    # codes that are clear whatever the text
    ("STOR", "452 Error writing file: insufficient", None, NoSpaceError),
    ("STOR", "552 Exceeded storage allocation", None, QuotaError),
    ("STOR", "552 Requested file action aborted", None, QuotaError),
    ("MFMT", "500 Unknown command.", None, UnsupportedError),
    ("MLSD", "502 Command not implemented.", None, UnsupportedError),
    ("SITE CHMOD", "504 Unknown SITE command.", None, UnsupportedError),
    ("RETR", "530 Please login with USER and PASS.", None, DeniedError),
    ("STOR", "532 Need account for storing files.", None, DeniedError),
    ("DELE", "450 file busy", None, BusyError),
    ("RNTO", "450 /a: No such file or directory", None, AbsentError),
]


@pytest.mark.parametrize(
    ("verb", "line", "state", "kind"), ROWS, ids=[f"{r[0]} {r[1][:40]}" for r in ROWS]
)
def test_meaning(verb: str, line: str, state: State | None, kind: type[RefusedError]) -> None:
    parser = ReplyParser()
    parser.feed(line.encode() + b"\r\n")
    reply = parser.next_reply()
    assert reply is not None

    def look() -> State:
        assert state is not None, "the reply is clear, but the server was asked"
        return state

    error = diagnose(verb, "/dir/a", reply, look)
    assert type(error) is kind
    assert str(error) == f"/dir/a: {verb} refused: {line.strip()}"
