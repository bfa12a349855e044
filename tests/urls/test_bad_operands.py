"""What cannot be done: one line that says what and why, the other operands done, the exit code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers import vsftpd_server
from urls.commands import Done, Place, command_environment, made_place, run
from urls.faults import Faults, faulty

COMMANDS = ["ls", "cat", "rm", "mkdir", "rmdir"]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Place]:
    """A server that lets nobody write."""
    root = tmp_path / "server"
    root.mkdir()
    with vsftpd_server(str(root), write_enable=False) as server:
        yield from made_place(server, tmp_path)


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Place]:
    """A server with a disk of 1 MiB."""
    root = tmp_path / "server"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(root)], check=True)
    try:
        with vsftpd_server(str(root)) as server:
            yield from made_place(server, tmp_path)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=True)


# -- URLs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://h/x", "unknown scheme http://"),
        ("ftp:///x", "the URL has no host"),
        ("ftp://h:99999/x", "the port"),
        ("ftp://::1/x", "an IPv6 address must stand in brackets"),
        ("x", "is not a URL"),
    ],
)
def test_an_operand_that_is_no_url_ends_with_2_and_the_others_are_done(
    vs: Place, command: str, url: str, why: str
) -> None:
    (vs.root / "f").write_text("content")
    (vs.root / "d").mkdir()
    good = {"mkdir": "new", "rmdir": "d"}.get(command, "f")
    done = vs.ftpfs(command, url, vs.url(good))
    assert done.code == 2
    assert done.err.startswith("ftpfs: ")
    assert why in done.err
    assert len(done.err.splitlines()) == 1
    if command in ("ls", "cat"):
        assert done.out.strip() in ("content", vs.shown("f"))
    else:
        assert (vs.root / good).exists() == (command == "mkdir")


def test_a_target_that_is_no_url_ends_with_2_and_nothing_is_done(vs: Place) -> None:
    (vs.local / "f").write_text("f")
    for command in ("cp", "mv"):
        done = vs.ftpfs(command, "f", "http://h/x")
        assert done.code == 2
        assert "unknown scheme" in done.err
    assert (vs.local / "f").exists()


def test_options_that_cannot_be_end_with_2(vs: Place) -> None:
    for arguments in (
        ["ls", "-o", "nonsense", vs.url()],
        ["ls", "-o", "max_conns=0", vs.url()],
        ["ls", "--nonsense", vs.url()],
        ["cp", "-j", "0", "a", "b"],
        ["cp", "-n", "-u", "a", "b"],
        ["cp", "-", "-"],
        ["sync", "a"],
        ["ls"],
        ["cat"],
        ["rm"],
    ):
        done = vs.ftpfs(*arguments)
        assert done.code == 2, arguments
        assert done.err.startswith("ftpfs: ")
        assert "Traceback" not in done.err


# -- logins ---------------------------------------------------------------------------------------


def test_a_wrong_password_is_tried_once_and_never_shown(vs: Place) -> None:
    wrong = vs.url("x").replace(":demo@", ":s3cr%65t@")
    (vs.local / "f").write_text("f")
    for arguments in (["ls", wrong, wrong], ["cp", "f", wrong], ["rm", wrong], ["cat", wrong]):
        done = vs.ftpfs(*arguments)
        assert done.code == 1
        assert "login refused, check user and password: 530" in done.err
        assert "s3c" not in done.err
        assert len(done.err.splitlines()) == arguments.count(wrong)
    attempts = Path(vs.server.log).read_text().count("FAIL LOGIN")
    assert attempts == 4


@pytest.mark.parametrize(
    "login",
    ["me@home.org:s3cret", "me:s3@cret", "me:s3:cret", "me:s3?cret#", "me:s3/cret"],
)
def test_a_password_of_any_form_is_never_shown(vs: Place, login: str) -> None:
    url = f"ftp://{login}@127.0.0.1:1/a@b"
    (vs.local / "f").write_text("f")
    for arguments in (["ls", url], ["cp", "f", url], ["cp", url, "f"], ["mkdir", "-p", url]):
        done = vs.ftpfs(*arguments)
        assert done.code in (1, 2)
        assert "ftp://me" in done.err or "no password" in done.err or "the port" in done.err
        assert "cret" not in done.err, done.err


def test_what_is_no_password_is_shown(vs: Place) -> None:
    for url in ("ftp://127.0.0.1:1/a:b@c", "ftp://[::1]:1/a:b@c", "ftp://127.0.0.1:x/b"):
        assert f"{url}" in vs.ftpfs("ls", url).err


def test_no_password_and_nobody_to_ask(vs: Place) -> None:
    done = vs.ftpfs("ls", vs.url().replace(":demo@", "@"))
    assert done.code == 2
    assert "no password for demo@127.0.0.1" in done.err


def test_passwords_come_from_where_a_mount_has_them(vs: Place) -> None:
    bare = vs.url().replace(":demo@", "@")
    (vs.root / "f").touch()
    assert vs.ftpfs("ls", bare, env={"FTPFS_PASSWORD": "demo"}).out == "f\n"
    netrc = vs.home / ".netrc"
    mine = "machine 127.0.0.1 login demo password demo\n"
    other = "machine 127.0.0.1 login other password another\n"
    for content in (mine, other + mine, mine + other):
        netrc.write_text(content)
        netrc.chmod(0o600)
        assert vs.ftpfs("ls", bare).out == "f\n"


def test_nobody_listens(vs: Place) -> None:
    done = vs.ftpfs("ls", "ftp://127.0.0.1:1/x", vs.url())
    assert done.code == 1
    assert done.err == (
        "ftpfs: cannot access 'ftp://127.0.0.1:1/x': 127.0.0.1:1: Connection refused\n"
    )


# -- what servers refuse --------------------------------------------------------------------------


def test_directories_and_files_taken_for_one_another(place: Place) -> None:
    (place.root / "d").mkdir()
    (place.root / "f").touch()
    assert place.ftpfs("cat", place.url("d")).err == f"ftpfs: {place.shown('d')}: Is a directory\n"
    assert place.ftpfs("cat", place.url("x")).err == (
        f"ftpfs: {place.shown('x')}: No such file or directory\n"
    )
    assert place.ftpfs("ls", place.url("f/x")).code == 1
    done = place.ftpfs("cp", "-", place.url("d"))
    assert done.err == (
        f"ftpfs: cannot overwrite directory '{place.shown('d')}' with non-directory\n"
    )


def test_a_name_that_is_too_long(place: Place) -> None:
    name = "n" * 256
    for size in (10, 400_000):
        (place.local / "f").write_bytes(bytes(size))
        done = place.ftpfs("cp", "f", place.url(name))
        assert done.err == (
            f"ftpfs: cannot create regular file '{place.shown(name)}': File name too long\n"
        )
        assert done.code == 1
    done = place.ftpfs("mkdir", place.url(name))
    assert done.err == f"ftpfs: cannot create directory '{place.shown(name)}': File name too long\n"
    assert os.listdir(place.root) == []


def test_a_name_that_ftp_cannot_carry(place: Place) -> None:
    (place.local / "d").mkdir()
    (place.local / "d" / "a\nb").touch()
    (place.local / "d" / "good").touch()
    done = place.ftpfs("cp", "-r", "d", place.url("d"))
    assert done.code == 1
    assert len(done.err.splitlines()) == 1
    assert "which FTP cannot carry" in done.err
    assert os.listdir(place.root / "d") == ["good"]


def test_a_server_that_lets_nobody_write(read_only: Place) -> None:
    place = read_only
    (place.root / "f").write_text("f")
    (place.local / "small").write_text("small")
    (place.local / "large").write_bytes(bytes(400_000))
    shown = place.shown
    for arguments, line in (
        (["cp", "small", place.url("x")], f"cannot create regular file '{shown('x')}'"),
        (["cp", "large", place.url("x")], f"cannot create regular file '{shown('x')}'"),
        (["cp", "small", place.url("f")], f"cannot write to '{shown('f')}'"),
        (["rm", place.url("f")], f"cannot remove '{shown('f')}'"),
        (["mkdir", place.url("d")], f"cannot create directory '{shown('d')}'"),
        (["mv", place.url("f"), place.url("g")], f"cannot move '{shown('f')}' to '{shown('g')}'"),
    ):
        done = place.ftpfs(*arguments)
        assert done.err == f"ftpfs: {line}: Permission denied\n"
        assert done.code == 1
    done = place.ftpfs("mv", place.url("f"), "moved")
    assert done.err == f"ftpfs: cannot remove '{shown('f')}': Permission denied\n"
    assert (place.local / "moved").read_text() == "f"
    assert os.listdir(place.root) == ["f"]


def test_a_full_disk_of_the_server(tiny: Place) -> None:
    place = tiny
    (place.local / "large").write_bytes(bytes(2_000_000))
    (place.local / "small").write_text("small")
    done = place.ftpfs("cp", "large", "small", place.url())
    assert done.code == 1
    assert done.err.startswith(f"ftpfs: cannot create regular file '{place.shown('large')}': ")
    assert len(done.err.splitlines()) == 1
    assert os.listdir(place.root) == ["small"]


def test_a_full_local_disk(vs: Place) -> None:
    small = vs.local / "disk"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(small)], check=True)
    try:
        (vs.root / "d").mkdir()
        (vs.root / "d" / "large").write_bytes(bytes(2_000_000))
        for n in range(10):
            (vs.root / "d" / f"{n}").write_bytes(bytes(200_000))
        done = vs.ftpfs("cp", "-r", vs.url("d"), "disk/d")
        assert done.code == 1
        assert done.err.splitlines()[0].endswith(": No space left on device")
        sizes = {path.name: path.stat().st_size for path in (small / "d").iterdir()}
        assert sizes
        assert set(sizes.values()) == {200_000}
    finally:
        subprocess.run(["umount", "--lazy", str(small)], check=True)


@pytest.mark.parametrize("size", [1000, 400_000])
def test_a_quota_that_is_used_up(vs: Place, size: int) -> None:
    """The server says so when it has the content."""
    faults = Faults(
        reply=lambda line: line.replace(b"226 Transfer complete", b"552 Quota exceeded")
    )
    (vs.local / "f").write_bytes(bytes(size))
    with faulty(vs.server, faults) as url:
        done = vs.ftpfs("cp", "f", f"{url}{vs.name}/f")
        shown = f"{url}{vs.name}/f".replace(":demo@", "@")
    assert done.err == f"ftpfs: cannot create regular file '{shown}': Disk quota exceeded\n"
    assert done.code == 1
    assert os.listdir(vs.root) == []


def test_a_source_that_may_not_be_read(vs: Place) -> None:
    (vs.local / "f").mkdir()
    shutil.rmtree(vs.local / "f")
    (vs.local / "link").symlink_to("nothing")
    (vs.local / "good").write_text("good")
    done = vs.ftpfs("cp", "link", "good", vs.url())
    assert done.err == "ftpfs: cannot stat 'link': No such file or directory\n"
    assert done.code == 1
    assert os.listdir(vs.root) == ["good"]


def test_a_target_directory_that_is_not_there(place: Place) -> None:
    (place.local / "f").write_text("f")
    done = place.ftpfs("cp", "f", place.url("x/y"))
    assert done.err == (
        f"ftpfs: cannot create regular file '{place.shown('x/y')}': No such file or directory\n"
    )
    (place.root / "f").write_text("f")
    done = place.ftpfs("cp", place.url("f"), "x/y")
    assert done.err == "ftpfs: cannot create regular file 'x/y': No such file or directory\n"


def test_names_with_escapes_cannot_talk_to_the_terminal(vs: Place) -> None:
    (vs.local / "a\x1b[31mb").touch()
    done = vs.ftpfs("cp", "a\x1b[31mb", "nothing\x1b[32m/")
    assert done.err == ("ftpfs: cannot create regular file 'nothing\\033[32m/': Not a directory\n")
    done = vs.ftpfs("ls", "ftp://\x1b[31mhost/")
    assert "\\033[31mhost" in done.err
    assert "\x1b" not in done.err


def test_nobody_reads_the_output(vs: Place) -> None:
    (vs.root / "f").write_bytes(bytes(20_000_000))
    done = subprocess.run(
        ["sh", "-c", '"$0" -m ftpfs cat "$1" | head -c 10', sys.executable, vs.url("f")],
        env=command_environment(str(vs.home)),
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == bytes(10)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "output", "says"),
    [
        (["ls", "-l", "d"], ">/dev/full", "write error: No space left on device"),
        (["ls", "--json", "d"], ">/dev/full", "write error: No space left on device"),
        (["cat", "f"], ">/dev/full", "write error: No space left on device"),
        (["cp", "-rv", "d", "."], ">/dev/full", "write error: No space left on device"),
        (["sync", "d", "s"], ">/dev/full", "write error: No space left on device"),
        (["ls", "d"], ">&-", "write error: standard output is closed"),
        (["cp", "-rv", "d", "."], ">&-", "write error: standard output is closed"),
        (["ls", "-l", "d"], "| true", ""),
        (["cat", "f"], "| true", ""),
        (["cp", "-rv", "d", "."], "| true", ""),
    ],
)
def test_output_that_cannot_be_written(
    vs: Place, arguments: list[str], output: str, says: str
) -> None:
    (vs.root / "d").mkdir()
    (vs.root / "f").write_bytes(bytes(3_000_000))
    for n in range(2000):
        (vs.root / "d" / f"{n:04} {'x' * 60}").touch()
    command, *words = arguments
    words = [vs.url(word) if (vs.root / word).exists() and word != "." else word for word in words]
    done = redirected(vs, output, command, *words)
    assert says in done.err
    assert len(done.err.splitlines()) == bool(says)
    assert done.code == 1


def redirected(place: Place, where: str, *arguments: str) -> Done:
    """Run a command with a redirection, or into a pipe, as bash has them."""
    script = f'"$0" -m ftpfs "$@" {where}; exit "${{PIPESTATUS[0]}}"'
    argv = ["bash", "-c", script, sys.executable, *arguments]
    return run(argv, place.local, b"", command_environment(str(place.home)))


def test_names_that_the_terminal_has_no_letters_for_are_said(vs: Place) -> None:
    (vs.root / "ü→").touch()
    done = vs.ftpfs("cp", "-v", vs.url("ü→"), ".", env={"PYTHONIOENCODING": "ascii"})
    assert done.err == ""
    assert "-> './ü→'" in done.out


# -- descriptors that are closed: a connection must not get their numbers -------------------------


@pytest.mark.parametrize("output", [">&-", "1</dev/null"])
def test_content_does_not_go_to_the_server_as_commands(place: Place, output: str) -> None:
    (place.root / "victim").touch()
    (place.root / "evil").write_bytes(b"DELE %s/victim\r\n" % place.name.encode())
    done = redirected(place, output, "cat", place.url("evil"))
    assert done.err == "ftpfs: write error: Bad file descriptor\n"
    assert done.code == 1
    assert sorted(os.listdir(place.root)) == ["evil", "victim"]


@pytest.mark.parametrize("output", ["2>&-", "2</dev/null", "2>/dev/full", "<&- >&- 2>&-"])
def test_where_nobody_hears_of_failures_the_other_operands_are_done(
    place: Place, output: str
) -> None:
    (place.root / "f").write_text("f")
    done = redirected(place, output, "cp", place.url("nothing"), place.url("f"), ".")
    assert done == Done(1, "", "")
    assert (place.local / "f").read_text() == "f"
    done = redirected(place, output, "rm", "http://h/x", place.url("nothing"), place.url("f"))
    assert done == Done(2, "", "")
    assert os.listdir(place.root) == []
    assert redirected(place, output, "rm", "--nonsense") == Done(2, "", "")


def test_no_standard_input_to_ask_for_a_password(vs: Place) -> None:
    done = redirected(vs, "<&-", "ls", vs.url().replace(":demo@", "@"))
    assert done.code == 2
    assert "no password for demo@127.0.0.1" in done.err
    assert len(done.err.splitlines()) == 1
