from __future__ import annotations

import pytest

from ftpfs.errors import (
    AbsentError,
    BusyError,
    CrossDeviceError,
    DeniedError,
    ExistsError,
    InvalidNameError,
    IsDirectoryError,
    NameTooLongError,
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
from ftpfs.wire.reply import Reply, ReplyParser

FILE = State(Entry("a", Kind.FILE), parent_exists=True)
DIRECTORY = State(Entry("a", Kind.DIRECTORY), parent_exists=True)
FULL = State(Entry("a", Kind.DIRECTORY), parent_exists=True, has_children=True)
LINK = State(Entry("a", Kind.SYMLINK), parent_exists=True)
ABSENT = State(None, parent_exists=True)
ORPHAN = State(None, parent_exists=False)
CLOSED = State(None, parent_exists=True, parent_closed=True)

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
    ("RETR", "550 Failed to open file.", CLOSED, DeniedError),
    ("STOR", "553 Could not create file.", CLOSED, DeniedError),
    ("STOR", "550 Permission denied.", ABSENT, DeniedError),
    ("STOR", "550 Permission denied.", ORPHAN, DeniedError),
    ("STOR", "550 Permission denied.", DIRECTORY, IsDirectoryError),
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
    ("DELE", "550 /a: Permission denied", FILE, DeniedError),
    ("RETR", "550 /a: Permission denied", ABSENT, DeniedError),  # what is closed looks absent
    ("RNTO", "550 /a: Operation not permitted", DIRECTORY, IsDirectoryError),
    ("DELE", "550 /a: Operation not permitted", FILE, DeniedError),
    ("STOR", "550 a: Read-only file system", ABSENT, DeniedError),
    ("STOR", "550 a: File name too long", None, NameTooLongError),
    ("RNTO", "550 /a: Invalid cross-device link", None, CrossDeviceError),
    ("RNTO", "550 /a: Invalid argument", ABSENT, InvalidNameError),  # a directory into itself
    ("RMD", "550 /a: Device or resource busy", None, BusyError),
    ("RETR", "550 /a: Text file busy", None, BusyError),
    ("MKD", "550 /*: Invalid directory name", ABSENT, InvalidNameError),
    ("RETR", "425 Unable to build data connection: Operation not permitted", None, PassingError),
    ("RETR", "426 Data connection: No such file or directory", FILE, PassingError),
    ("STOR", "426 Transfer aborted: Disk quota exceeded", None, QuotaError),
    ("STOR", "553 Prohibited file name: a", ABSENT, InvalidNameError),
    ("STOR", "553 Prohibited file name: a", ORPHAN, AbsentError),
    ("MKD", "553 Prohibited directory name", ABSENT, InvalidNameError),
    ("RNTO", "451 Rename/move failure: Is a directory", None, IsDirectoryError),
    ("RNTO", "451 Rename/move failure: Directory not empty", None, NotEmptyError),
    ("RMD", "550 Can't remove directory: Directory not empty", None, NotEmptyError),
    ("MLST", "550 Can't check for file existence", ABSENT, AbsentError),
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
    ("DELE", "550 Access is denied. ", FILE, DeniedError),
    ("DELE", "550 Access is denied. ", DIRECTORY, IsDirectoryError),
    ("CWD", "550 The directory name is invalid. ", None, NotDirectoryError),
    ("STOR", "550 The system cannot find the path specified. ", None, AbsentError),
    ("RNTO", "550 Cannot create a file when that file already exists. ", None, ExistsError),
    (
        "DELE",
        "550 The process cannot access the file because it is being used by another process. ",
        None,
        BusyError,
    ),
    (
        "STOR",
        "550 The filename, directory name, or volume label syntax is incorrect. ",
        ABSENT,
        InvalidNameError,
    ),
    ("STOR", "550 There is not enough space on the disk. ", None, NoSpaceError),
    ("MKD", "501 Server cannot accept argument.", ABSENT, InvalidNameError),
    ("MKD", "501 Server cannot accept argument.", DIRECTORY, ExistsError),
    # FileZilla Server
    ("RETR", "550 File not found", None, AbsentError),
    ("CWD", '550 CWD failed. "/a": directory not found.', None, AbsentError),
    ("MKD", "550 Directory already exists", None, ExistsError),
    ("RNTO", "550 file exists", None, ExistsError),
    ("RNTO", "553 file exists", None, ExistsError),
    ("STOR", "550 Filename invalid", ORPHAN, AbsentError),
    ("STOR", "550 Filename invalid", ABSENT, InvalidNameError),
    ("STOR", "550 Filename invalid", DIRECTORY, IsDirectoryError),
    ("MKD", "550 Directoryname not valid", ABSENT, InvalidNameError),
    ("DELE", "450 Internal error deleting the file.", FILE, BusyError),
    ("RMD", "450 Internal error deleting the directory.", FULL, NotEmptyError),
    # Apache FtpServer (and what is built on it)
    ("DELE", '550 Not a valid file "a".', DIRECTORY, IsDirectoryError),
    ("DELE", '550 Not a valid file "a".', ABSENT, AbsentError),
    ("DELE", "450 No permission to delete a.", FILE, DeniedError),
    ("DELE", "450 Can't delete file a.", DIRECTORY, IsDirectoryError),
    ("RMD", '550 Not a valid directory "a".', FILE, NotDirectoryError),
    ("RMD", "450 Can't remove directory a.", FULL, NotEmptyError),
    ("RMD", "450 Can't remove directory a: resource busy.", None, BusyError),
    ("MKD", "550 a: already exists.", None, ExistsError),
    ("MKD", "550 Can't create directory a.", ORPHAN, AbsentError),
    ("RNFR", "550 a: File unavailable.", ABSENT, AbsentError),
    ("RNTO", "553 Not a valid file name.", ABSENT, InvalidNameError),
    ("RNTO", "553 Can't rename file.", DIRECTORY, IsDirectoryError),
    ("LIST", "450 Non-existing file", None, AbsentError),
    ("STOR", "551 a: Error on output file.", FILE, RefusedError),
    # others
    ("STOR", "552 Disk full - please upload later", None, NoSpaceError),
    ("MKD", "521 Directory already exists.", None, ExistsError),
    ("MKD", "521 taken", None, ExistsError),
    ("RETR", "550 Datei oder Verzeichnis nicht gefunden", ABSENT, AbsentError),
    ("RETR", "550 Keine Berechtigung.", FILE, DeniedError),
    ("STOR", "550 Upload of this file is already in progress", None, BusyError),
    ("DELE", "550 File is locked", None, BusyError),
    ("RNTO", "503 Bad sequence of commands.", FILE, RefusedError),
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
    ("DELE", "450 try again", FILE, BusyError),
    ("RNTO", "450 /a: No such file or directory", None, AbsentError),
]


@pytest.mark.parametrize(
    ("verb", "line", "state", "kind"), ROWS, ids=[f"{r[0]} {r[1][:40]}" for r in ROWS]
)
def test_meaning(verb: str, line: str, state: State | None, kind: type[RefusedError]) -> None:
    reply = reply_of(line)

    def look(*, briefly: bool) -> State:
        assert state is not None, "the reply is clear, but the server was asked"
        return state

    error = diagnose(verb, "/dir/a", reply, look)
    assert type(error) is kind
    assert str(error) == f"/dir/a: {verb} refused: {line.strip()}"


def reply_of(line: str) -> Reply:
    parser = ReplyParser()
    parser.feed(line.encode() + b"\r\n")
    reply = parser.next_reply()
    assert reply is not None
    return reply


def test_a_denial_costs_no_listing() -> None:
    """`cp -r` into what is read-only is refused for each file: one round trip each."""
    asked: list[bool] = []

    def look(*, briefly: bool) -> State:
        asked.append(briefly)
        return ABSENT

    diagnose("STOR", "/dir/a", reply_of("550 Permission denied."), look)
    diagnose("STOR", "/dir/a", reply_of("553 Could not create file."), look)
    assert asked == [True, False]


@pytest.mark.parametrize(
    ("path", "line", "state", "kind"),
    [
        ("/not found/a", "550 /not found/a: Permission denied", FILE, DeniedError),
        ("/disk full", "550 /disk full: No such file or directory", None, AbsentError),
        ("/Quota Exists", "550 /Quota Exists: Is a directory", None, IsDirectoryError),
        ("/denied", "550 denied: failed", ABSENT, AbsentError),
        ("/srv/in use/a", "550 /base/in use/a failed", FILE, DeniedError),
    ],
)
def test_the_words_of_a_name_are_not_the_servers(
    path: str, line: str, state: State | None, kind: type[RefusedError]
) -> None:
    def look(*, briefly: bool) -> State:
        assert state is not None, "the reply is clear, but the server was asked"
        return state

    error = diagnose("RETR", path, reply_of(line), look, names="/base" + path)
    assert type(error) is kind


@pytest.mark.parametrize("line", ["553 Could not create file.", "550 Permission denied."])
def test_a_name_longer_than_file_systems_have(line: str) -> None:
    def look(*, briefly: bool) -> State:
        raise AssertionError("the name is enough, but the server was asked")

    error = diagnose("STOR", "/dir/" + 128 * "ü", reply_of(line), look)
    assert type(error) is NameTooLongError
    error = diagnose("STOR", "/dir/" + 127 * "ü", reply_of(line), lambda *, briefly: ABSENT)
    assert type(error) is DeniedError
