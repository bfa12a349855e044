from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftpfs.wire.entry import Entry, Kind, rough
from ftpfs.wire.facts import parse_facts
from ftpfs.wire.timeval import UNKNOWN_S, utc_ns

TIME = utc_ns(2026, 11, 22, 17, 37, 12)
M = "modify=20261122173712;"

LINES = {
    "pyftpdlib file": (
        f"{M}perm=radfwMT;size=42;type=file;unique=2fg14; notes.txt",
        Entry("notes.txt", Kind.FILE, 42, TIME, 1, 0o644),
    ),
    "pyftpdlib directory": (
        f"{M}perm=elcdmpM;size=4096;type=dir;unique=2fg15; plans",
        Entry("plans", Kind.DIRECTORY, 4096, TIME, 1, 0o755),
    ),
    "ProFTPD file": (
        f"{M}perm=adfrw;size=7;type=file;UNIX.mode=0640;UNIX.owner=1000; a.c",
        Entry("a.c", Kind.FILE, 7, TIME, 1, 0o640),
    ),
    "ProFTPD slink": (
        f"{M}perm=adfrw;size=3;type=OS.unix=slink:/srv/New;UNIX.mode=0777; ln",
        Entry("ln", Kind.SYMLINK, 3, TIME, 1, 0o777, "/srv/New"),
    ),
    "ProFTPD symlink": (
        f"{M}size=3;type=OS.unix=symlink; ln",
        Entry("ln", Kind.SYMLINK, 3, TIME, 1),
    ),
    "Pure-FTPd": (
        f"type=file;siz=1;size=9;{M}UNIX.mode=0100755;unique=fd01g5; run.sh",
        Entry("run.sh", Kind.FILE, 9, TIME, 1, 0o755),
    ),
    "Pure-FTPd directory": (
        f"type=dir;sizd=4096;{M}UNIX.mode=01777; tmp",
        Entry("tmp", Kind.DIRECTORY, 4096, TIME, 1, 0o1777),
    ),
    "upper case": (
        "Type=File;Size=1;Modify=20261122173712;Perm=R; X",
        Entry("X", Kind.FILE, 1, TIME, 1, 0o444),
    ),
    "read-only directory": (
        f"type=dir;{M}perm=el; d",
        Entry("d", Kind.DIRECTORY, 0, TIME, 1, 0o555),
    ),
    "device": (f"type=OS.unix=chr-1/3;{M} null", Entry("null", Kind.OTHER, 0, TIME, 1)),
    "name with a semicolon": (
        f"type=file;{M} a;b=c; d",
        Entry("a;b=c; d", Kind.FILE, rough(0), TIME, 1),
    ),
    "name with blanks around": (f"type=file;{M}   a ", Entry("  a ", Kind.FILE, rough(0), TIME, 1)),
    "leading blank (MLST)": (f" type=file;{M} /d/x", Entry("/d/x", Kind.FILE, rough(0), TIME, 1)),
    "no last semicolon": ("type=file;size=5 x", Entry("x", Kind.FILE, 5, 0, UNKNOWN_S)),
    "no type": (f"size=5;{M} x", Entry("x", Kind.FILE, 5, TIME, 1)),
    "broken facts": (
        "type=file;size=-1;modify=never;unix.mode=rwx;perm;lost; x",
        Entry("x", Kind.FILE, rough(0), 0, UNKNOWN_S, 0o444),
    ),
    "broken octal": (
        f"type=file;unix.mode=0899;perm=w;{M} x",
        Entry("x", Kind.FILE, rough(0), TIME, 1, 0o644),
    ),
    "size beyond a file offset": (
        f"type=file;size=9223372036854775808;{M} x",
        Entry("x", Kind.FILE, rough(0), TIME, 1),
    ),
    "Y2K": ("type=file;modify=191261122173712; x", Entry("x", Kind.FILE, rough(0), TIME, 1)),
    "cdir": (f"type=cdir;{M} /home", None),
    "pdir": (f"Type=pdir;{M} ..", None),
}


@pytest.mark.parametrize(("line", "expected"), LINES.values(), ids=LINES)
def test_reads(line: str, expected: Entry | None) -> None:
    assert parse_facts(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "x",
        "type=file;",
        "type=file; ",
        " only a name",
        "-rw-r--r-- 1 u g 0 Nov 22 17:37 a=b",
    ],
)
def test_refuses(line: str) -> None:
    with pytest.raises(ValueError, match="MLSx"):
        parse_facts(line)


@given(st.text("type=dirfles;siz perm OS.unix:mode0189\udce9x"))
def test_any_line_is_an_entry_or_a_value_error(line: str) -> None:
    try:
        entry = parse_facts(line)
    except ValueError:
        return
    assert entry is None or entry.name


@given(st.text(min_size=1).filter(lambda name: "\n" not in name))
def test_any_name_survives(name: str) -> None:
    entry = parse_facts(f"type=file;size=1; {name}")
    assert entry is not None
    assert entry.name == name
