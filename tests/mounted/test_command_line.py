"""`ftpfs mount` and `ftpfs umount` as a user types them: what works, and how failures are told.

Every failure is one line on stderr that names the cause, an exit code as in mount(8), nothing
mounted and no process left: `refused` checks all of that.
"""

from __future__ import annotations

import contextlib
import os
import pty
import queue
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from mounted.places import PROFTPD
from mounts import (
    Mount,
    User,
    assert_ended,
    assert_healthy,
    environment,
    ftpfs,
    hiding,
    home_directory,
    is_mounted,
    mount_at,
    mount_line,
    mounted,
    process_file,
    processes,
    serving,
)
from servers import Server, vsftpd_server
from waiting import DEADLINE_S, eventually

from ftpfs.demo import server as demo_server

pytestmark = pytest.mark.mounted

USAGE, SYSTEM, FAILURE = 1, 2, 32  # mount(8), "EXIT STATUS"

Home = tuple[str, str]


@pytest.fixture
def home() -> Iterator[Home]:
    """A home directory and a mount point in it."""
    with home_directory() as made:
        yield made


def refused(
    home: Home,
    code: int,
    *words: str,
    url: str = "",
    server: Server | None = None,
    path: str = "",
    at: str = "",
    options: tuple[str, ...] = (),
    env: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    user: User | None = None,
    mounted_before: bool = False,
) -> str:
    """The one line with which a mount of a URL, or of a path on a server, is refused; it must hold
    each of `words`."""
    if server is not None:
        url, options = server.url + path, (*server.words, *options)
    python = sys.executable if user is None else user.python
    prefix = prefix if user is None else (*prefix, *user.prefix)
    at = at or home[1]
    done = ftpfs("mount", url, at, *options, home=home[0], env=env, prefix=prefix, python=python)
    check_refusal(done, code, *words)
    assert is_mounted(os.path.realpath(at)) == mounted_before
    if not mounted_before:
        eventually(lambda: not processes(home[0]), "no process is left")
    return done.stderr


def check_refusal(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.stdout == ""
    assert done.stderr.startswith("ftpfs: ")
    assert done.stderr.count("\n") == 1, done.stderr
    assert "Traceback" not in done.stderr
    for word in words:
        assert word in done.stderr
    assert done.returncode == code


# -- what works -----------------------------------------------------------------------------------


def test_mount_and_umount(pyftpdlib: Server) -> None:
    with mounted(pyftpdlib.url, *pyftpdlib.options) as mount:
        source, _, kind, options = mount_line(mount.path).split(" ")[:4]
        assert source == pyftpdlib.url.replace(":demo@", "@")
        assert kind == "fuse.ftpfs"
        assert "rw" in options.split(",")
        os.mkdir(f"{mount.path}/made")
    assert os.listdir(pyftpdlib.root) == ["made"]
    os.rmdir(f"{pyftpdlib.root}/made")


def test_the_log_says_nothing_while_all_is_well(pyftpdlib: Server, home: Home) -> None:
    assert ftpfs("mount", pyftpdlib.url, home[1], *pyftpdlib.words, home=home[0]).returncode == 0
    mount = Mount(home[1], home[0], next(iter(processes(home[0]))))
    os.listdir(mount.path)
    done = ftpfs("umount", home[1], home=home[0])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert mount.log() == ""


def test_directories_of_the_url(pyftpdlib: Server) -> None:
    os.makedirs(f"{pyftpdlib.root}/some where/ü")
    for path in ("some%20where/%C3%BC", "//some%20where/%C3%BC/", "%2Fsome where/./ü"):
        with mounted(pyftpdlib.url + path, *pyftpdlib.options) as mount:
            os.mkdir(f"{mount.path}/here")
        os.rmdir(f"{pyftpdlib.root}/some where/ü/here")
    shutil.rmtree(f"{pyftpdlib.root}/some where")


def test_words_of_fstab_are_accepted(pyftpdlib: Server) -> None:
    with mounted(
        pyftpdlib.url, *pyftpdlib.options, "rw,noauto,_netdev,user", "x-systemd.automount,noatime"
    ) as mount:
        os.listdir(mount.path)


def test_mount_as_fstab_has_it(pyftpdlib: Server, home: Home) -> None:
    """mount(8) calls the program without a command, and without PATH in its environment. It is
    named with its path here, because a test installs nothing in the places where mount(8) looks."""
    program = os.path.join(os.path.dirname(sys.executable), "ftpfs")
    source = f"{program}#{pyftpdlib.url}"
    options = ",".join(["_netdev,nofail,umask=027", *pyftpdlib.options])
    done = subprocess.run(
        ["mount", "-t", "fuse", source, home[1], "-o", options],
        env=environment(home[0]),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert mount_line(home[1]).split(" ")[2] == "fuse.ftpfs"
    assert stat.S_IMODE(os.stat(home[1]).st_mode) == 0o750
    done = ftpfs("umount", home[1], home=home[0])
    assert (done.returncode, done.stderr) == (0, "")


def test_foreground_ends_by_interrupt(pyftpdlib: Server, home: Home) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "ftpfs", "mount", "-f", *pyftpdlib.words, pyftpdlib.url, home[1]],
        env=environment(home[0]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        eventually(lambda: is_mounted(home[1]), "it is mounted")
        with open(f"{home[1]}/file", "w", encoding="utf-8") as out:
            out.write("sent")
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate(timeout=DEADLINE_S)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 0
    assert "Traceback" not in said
    assert os.listdir(pyftpdlib.root) == ["file"]
    os.unlink(f"{pyftpdlib.root}/file")


@pytest.mark.parametrize("closed", ["<&-", "<&- >&-", "<&- >&- 2>&-", ">&- 2>&-"])
def test_descriptors_that_are_closed(pyftpdlib: Server, home: Home, closed: str) -> None:
    """No connection and no pipe gets their numbers."""
    prefix = ("/bin/sh", "-c", f'exec "$@" {closed}', "sh")
    words = ("mount", *pyftpdlib.words, pyftpdlib.url, home[1])
    done = ftpfs(*words, home=home[0], prefix=prefix)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = serving(home[1], home[0])
    with open(f"{home[1]}/file", "w", encoding="utf-8") as out:
        out.write("sent")
    assert os.listdir(pyftpdlib.root) == ["file"]
    links = [os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)]
    assert links == [os.devnull] * 3
    os.unlink(f"{pyftpdlib.root}/file")
    assert ftpfs("umount", home[1], home=home[0], prefix=prefix).returncode == 0
    assert_ended(pid)


def test_killed_and_mounted_again(pyftpdlib: Server, home: Home) -> None:
    first = mount_at(home[0], home[1], pyftpdlib.url, *pyftpdlib.options)
    os.kill(first.pid, signal.SIGKILL)
    assert_ended(first.pid)
    with pytest.raises(OSError, match="not connected"):
        os.listdir(home[1])
    second = mount_at(home[0], home[1], pyftpdlib.url, *pyftpdlib.options)
    assert second.pid != first.pid
    assert os.listdir(home[1]) == []
    assert ftpfs("umount", home[1], home=home[0]).returncode == 0
    assert not is_mounted(home[1])
    assert_healthy(second)


# -- passwords ------------------------------------------------------------------------------------

USER, SECRET = "user", "p:ss/w@rd% ß"
IN_URL = "p%3Ass%2Fw%40rd%25%20%C3%9F"
TELLING = ("ss/w@rd", "ss%2Fw%40rd")  # the part that looks the same however the rest is escaped


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of a server with a password that stands out, on loopback."""
    root = str(tmp_path_factory.mktemp("secret"))
    with open(f"{root}/large", "wb") as out:
        out.truncate(20_000_000)
    started: queue.Queue[int] = queue.Queue()
    stop = threading.Event()
    thread = threading.Thread(
        target=demo_server.serve,
        args=(root,),
        kwargs={"user": USER, "password": SECRET, "ready": started.put, "stop": stop.is_set},
        name="secret-server",
    )
    thread.start()
    try:
        yield started.get(timeout=DEADLINE_S)
    finally:
        stop.set()
        thread.join()


def write_netrc(home: str, mode: int, login: str = USER, password: str = "") -> None:
    path = f"{home}/.netrc"
    with open(path, "w", encoding="utf-8") as out:
        out.write(f'machine 127.0.0.1 login {login} password "{password or SECRET}"\n')
    os.chmod(path, mode)


def check_secret_and_unmount(home: Home) -> None:
    """The password shows nowhere: not to others in /proc, not in logs or state files."""
    mount = Mount(home[1], home[0], serving(home[1], home[0]))
    with open(f"{mount.path}/large", "rb") as file:
        file.read(1)
        os.listdir(mount.path)  # beside a reader: a second connection, which logs in anew
        assert "> PASS ****" in mount.log()
    places = [
        process_file(mount.pid, "cmdline"),
        process_file(mount.pid, "environ"),
        mount_line(mount.path),
        mount.log(),
    ]
    for folder, _, files in os.walk(f"{mount.home}/.local"):
        for name in files:
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                places.append(file.read())
    assert len(places) >= 6  # the state file and the log are among them
    for text in places:
        assert not any(part in text for part in TELLING)
    assert ftpfs("umount", home[1], home=home[0]).returncode == 0
    assert_ended(mount.pid)


def test_password_in_the_url(port: int, home: Home) -> None:
    url = f"ftp://{USER}:{IN_URL}@127.0.0.1:{port}/"
    assert ftpfs("mount", "-v", url, home[1], home=home[0]).returncode == 0
    check_secret_and_unmount(home)


def test_password_in_netrc(port: int, home: Home) -> None:
    write_netrc(home[0], 0o600)
    url = f"ftp://{USER}@127.0.0.1:{port}/"
    assert ftpfs("mount", "-v", url, home[1], home=home[0]).returncode == 0
    check_secret_and_unmount(home)


def test_user_and_password_in_netrc(port: int, home: Home) -> None:
    write_netrc(home[0], 0o600)
    done = ftpfs("mount", "-v", f"ftp://127.0.0.1:{port}/", home[1], home=home[0])
    assert done.returncode == 0
    check_secret_and_unmount(home)


def test_netrc_that_others_may_read(port: int, home: Home) -> None:
    write_netrc(home[0], 0o644)
    url = f"ftp://{USER}@127.0.0.1:{port}/"
    said = refused(home, USAGE, "~/.netrc", "permission", url=url)
    assert SECRET not in said


def test_netrc_that_cannot_be_read(port: int, home: Home) -> None:
    with open(f"{home[0]}/.netrc", "w", encoding="utf-8") as out:
        out.write("machine\n")
    os.chmod(f"{home[0]}/.netrc", 0o600)
    refused(home, USAGE, "~/.netrc", url=f"ftp://{USER}@127.0.0.1:{port}/")


def test_password_in_the_environment(port: int, home: Home) -> None:
    url = f"ftp://{USER}@127.0.0.1:{port}/"
    done = ftpfs("mount", "-v", url, home[1], home=home[0], env={"FTPFS_PASSWORD": SECRET})
    assert done.returncode == 0
    check_secret_and_unmount(home)


def test_password_at_a_prompt(port: int, home: Home) -> None:
    code, said = at_a_terminal(home, f"ftp://{USER}@127.0.0.1:{port}/", SECRET)
    assert code == 0, said
    assert f"Password for {USER}@127.0.0.1: " in said
    assert SECRET not in said  # no echo
    check_secret_and_unmount(home)


def test_wrong_password_at_a_prompt(port: int, home: Home) -> None:
    code, said = at_a_terminal(home, f"ftp://{USER}@127.0.0.1:{port}/", "wrong")
    assert code == FAILURE
    assert "ftpfs: login refused, check user and password" in said
    assert not is_mounted(home[1])


def at_a_terminal(home: Home, url: str, typed: str) -> tuple[int, str]:
    """Exit code and screen of a mount whose terminal is a pty with a user who types."""
    outside, inside = pty.openpty()
    try:
        process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "ftpfs", "mount", "-v", url, home[1]],
            env=environment(home[0]),
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
        os.close(inside)
        said = b""
        with contextlib.suppress(OSError):  # EIO: the last one has closed the terminal
            while part := os.read(outside, 4096):
                said += part
                if said.endswith(b": "):
                    os.write(outside, typed.encode() + b"\n")
        return process.wait(DEADLINE_S), said.decode()
    finally:
        os.close(outside)


def test_no_password_and_nobody_to_ask(port: int, home: Home) -> None:
    words = ("no password", "~/.netrc", "FTPFS_PASSWORD")
    refused(home, USAGE, *words, url=f"ftp://{USER}@127.0.0.1:{port}/")


def test_wrong_passwords(port: int, home: Home) -> None:
    words = ("login refused", "check user and password")
    plain, wrong = f"ftp://{USER}@127.0.0.1:{port}/", "not-the-password"
    said = refused(home, FAILURE, *words, url=f"ftp://{USER}:{wrong}@127.0.0.1:{port}/")
    assert wrong not in said
    refused(home, FAILURE, *words, url=plain, env={"FTPFS_PASSWORD": wrong})
    refused(home, FAILURE, *words, url=f"ftp://127.0.0.1:{port}/")  # anonymous
    write_netrc(home[0], 0o600, password=wrong)
    refused(home, FAILURE, *words, url=plain)


def test_wrong_password_on_vsftpd(vsftpd: Server, home: Home) -> None:
    url = vsftpd.url.replace(":demo@", ":wrong@")
    words = ("login refused, check user and password",)
    refused(home, FAILURE, *words, url=url, options=vsftpd.words)


# -- URLs and options -----------------------------------------------------------------------------

BAD_URLS = {
    "/some/where": "not a URL",
    "server.example.org": "not a URL",
    "ftpis://demo@127.0.0.1/": "unknown scheme ftpis://",
    "http://127.0.0.1/": "unknown scheme http://",
    "ftp:///dir": "no host",
    "ftp://:secret@127.0.0.1/": "no user",
    "ftp://127.0.0.1:99999/": "port",
    "ftp://u:p/w@127.0.0.1/": "%2F",
    "ftp://::1/": "brackets",
    "ftp://[::1/": "brackets",
    "ftp://[nonsense]/": "not an IPv6 address",
    "ftp://127.0.0.1/a%0Ab": "CR, LF or NUL",
}


@pytest.mark.parametrize("url", BAD_URLS)
def test_bad_urls(home: Home, url: str) -> None:
    refused(home, USAGE, BAD_URLS[url], url=url)


def test_bad_url_does_not_show_its_password(home: Home) -> None:
    said = refused(home, USAGE, url="ftp://user:secret/with/slash@127.0.0.1/")
    assert "secret" not in said


BAD_OPTIONS = {
    "wrong": "unknown option -o wrong",
    "ro,wrong=1": "unknown option -o wrong",
    "ro=1": "takes no value",
    "dir_cache=soon": "dir_cache=soon",
    "dir_cache=-1": "dir_cache=-1",
    "max_conns=0": "max_conns=0",
    "timeout": "timeout",
    "umask=999": "umask=999",
    "uid=root": "uid=root",
}


@pytest.mark.parametrize("option", BAD_OPTIONS)
def test_bad_options(pyftpdlib: Server, home: Home, option: str) -> None:
    refused(home, USAGE, BAD_OPTIONS[option], server=pyftpdlib, options=("-o", option))


def test_bad_arguments(home: Home) -> None:
    for arguments in (
        ("mount",),
        ("mount", "ftp://x"),
        ("wrong",),
        ("mount", "--wrong"),
        ("umount",),
    ):
        check_refusal(ftpfs(*arguments, home=home[0]), USAGE)


# -- servers --------------------------------------------------------------------------------------


def test_nobody_listens(home: Home) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        words = (f"127.0.0.1:{port}", "refused")
        refused(home, FAILURE, *words, url=f"ftp://u:p@127.0.0.1:{port}/")


def test_unknown_host(home: Home) -> None:
    words = ("no-such-host.invalid", "not found")
    refused(home, FAILURE, *words, url="ftp://u:p@no-such-host.invalid/")


@contextlib.contextmanager
def answering(words: bytes) -> Iterator[int]:
    """The port of a server that says this to each who connects, and no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        kept = []

        def serve() -> None:
            with contextlib.suppress(OSError):  # shut down
                while True:
                    connection, _ = listener.accept()
                    kept.append(connection)
                    connection.sendall(words)

        thread = threading.Thread(target=serve, name="answering")
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
            for connection in kept:
                connection.close()


@pytest.mark.parametrize(
    "words",
    [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n"],
    ids=["silent", "HTTP", "SSH"],
)
def test_not_an_ftp_server(home: Home, words: bytes) -> None:
    with answering(words) as port:
        url = f"ftp://u:p@127.0.0.1:{port}/"
        said = ("does not greet as an FTP server", "right port")
        refused(home, FAILURE, *said, url=url, options=("-o", "timeout=1"))


def test_a_server_that_is_full(home: Home) -> None:
    with answering(b"421 Too many connections, try again later.\r\n") as port:
        url = f"ftp://u:p@127.0.0.1:{port}/"
        refused(home, FAILURE, "no more connections", "421", url=url)


def test_a_server_that_demands_tls(tmp_path: Path, home: Home) -> None:
    pem = f"{tmp_path}/pem"
    new_key = "openssl req -x509 -newkey rsa:2048 -nodes -days 1 -subj /CN=localhost"
    files = ("-keyout", pem, "-out", f"{pem}.crt")
    subprocess.run([*new_key.split(), *files], check=True, capture_output=True)
    os.mkdir(f"{tmp_path}/root")
    with vsftpd_server(
        f"{tmp_path}/root",
        ssl_enable=True,
        rsa_cert_file=f"{pem}.crt",
        rsa_private_key_file=pem,
        force_local_logins_ssl=True,
        force_local_data_ssl=True,
    ) as server:
        refused(home, FAILURE, "demands TLS", url=server.url)


@pytest.mark.parametrize("pyftpdlib", ["pyftpdlib", *PROFTPD], indirect=True)
def test_remote_directories_that_cannot_be(pyftpdlib: Server, home: Home) -> None:
    with open(f"{pyftpdlib.root}/file", "w", encoding="utf-8"):
        words = ("/absent/folder: ", "No such file")
        refused(home, FAILURE, *words, server=pyftpdlib, path="absent/folder")
        refused(home, FAILURE, "/file: ", "ot a directory", server=pyftpdlib, path="file")
    os.unlink(f"{pyftpdlib.root}/file")


def test_remote_directories_that_cannot_be_on_vsftpd(vsftpd: Server, home: Home) -> None:
    with open(f"{vsftpd.root}/file", "w", encoding="utf-8"):
        refused(home, FAILURE, "/absent: ", server=vsftpd, path="absent")
        refused(home, FAILURE, "/file: ", server=vsftpd, path="file")
    os.unlink(f"{vsftpd.root}/file")


# -- mount points ---------------------------------------------------------------------------------


def test_mount_points_that_cannot_be(pyftpdlib: Server, home: Home) -> None:
    top = home[0]
    os.mkdir(f"{top}/full")
    with open(f"{top}/full/file", "w", encoding="utf-8"):
        of = pyftpdlib
        refused(home, USAGE, "no such mount point", "mkdir", server=of, at=f"{top}/absent")
        refused(home, USAGE, "not a directory", server=of, at=f"{top}/full/file")
        refused(home, USAGE, "not empty", server=of, at=f"{top}/full")


def test_mount_point_in_use(pyftpdlib: Server) -> None:
    with mounted(pyftpdlib.url, *pyftpdlib.options) as mount, home_directory() as (other, _):
        again = (other, mount.path)
        words = ("mounted there already", "unmount it first")
        refused(again, USAGE, *words, server=pyftpdlib, mounted_before=True)
        os.listdir(mount.path)
        assert len(processes(mount.home)) == 1
        assert not processes(other)


def test_mount_point_of_another_user(pyftpdlib: Server, home: Home, nobody: User) -> None:
    with home_directory(nobody) as (own, _):
        words = (home[1],)
        refused((own, home[1]), FAILURE, *words, server=pyftpdlib, user=nobody)


# -- machines that lack something -----------------------------------------------------------------


def test_no_fuse_device(pyftpdlib: Server, home: Home) -> None:
    prefix = hiding("mount -t tmpfs none /dev && mknod /dev/null c 1 3")
    refused(home, SYSTEM, "no /dev/fuse", "modprobe fuse", server=pyftpdlib, prefix=prefix)


def test_no_libfuse(pyftpdlib: Server, home: Home) -> None:
    # Libraries are found by the linker's cache, or else by a compiler.
    prefix = hiding("mount --bind /dev/null /etc/ld.so.cache")
    env = {"PATH": "/nonexistent"}
    words = ("libfuse 3 is not installed", "fuse3")
    refused(home, SYSTEM, *words, server=pyftpdlib, prefix=prefix, env=env)


def test_libfuse_that_does_not_load(pyftpdlib: Server, home: Home) -> None:
    env = {"FUSE_LIBRARY_PATH": "/nonexistent/libfuse3.so.3"}
    words = ("/nonexistent/libfuse3.so.3", "cannot be used by mfusepy")
    refused(home, SYSTEM, *words, server=pyftpdlib, env=env)


def test_unknown_binding(pyftpdlib: Server, home: Home) -> None:
    words = ("FTPFS_FUSE=wrong", "mfusepy or fusepy")
    refused(home, USAGE, *words, server=pyftpdlib, env={"FTPFS_FUSE": "wrong"})


def test_no_fusermount_for_a_user(pyftpdlib: Server, nobody: User) -> None:
    with home_directory(nobody) as home:
        env = {"PATH": "/nonexistent"}
        words = ("fusermount3 is not installed", "fuse3")
        refused(home, SYSTEM, *words, server=pyftpdlib, env=env, user=nobody)


def test_fuse_device_closed_to_a_user(pyftpdlib: Server, nobody: User) -> None:
    devices = "mknod /dev/null c 1 3 && chmod 666 /dev/null && mknod -m 600 /dev/fuse c 10 229"
    prefix = hiding(f"mount -t tmpfs none /dev && {devices}")
    with home_directory(nobody) as home:
        words = ("/dev/fuse may not be opened", "chmod 666 /dev/fuse")
        refused(home, SYSTEM, *words, server=pyftpdlib, prefix=prefix, user=nobody)


# -- umount ---------------------------------------------------------------------------------------


def test_umount_of_what_is_not_ours(home: Home) -> None:
    words = ("no ftpfs is mounted there",)
    check_refusal(ftpfs("umount", home[1], home=home[0]), USAGE, *words)
    check_refusal(ftpfs("umount", f"{home[0]}/absent", home=home[0]), USAGE, *words)
    subprocess.run(["mount", "-t", "tmpfs", "none", home[1]], check=True)
    try:
        check_refusal(ftpfs("umount", home[1], home=home[0]), USAGE, *words)
        assert is_mounted(home[1])
    finally:
        subprocess.run(["umount", home[1]], check=True)


def test_umount_while_busy(pyftpdlib: Server) -> None:
    os.mkdir(f"{pyftpdlib.root}/folder")
    with mounted(pyftpdlib.url, *pyftpdlib.options) as mount:
        inside = subprocess.Popen(["cat"], cwd=f"{mount.path}/folder", stdin=subprocess.PIPE)
        done = ftpfs("umount", mount.path, home=mount.home)
        check_refusal(done, FAILURE, "busy", "fuser -m")
        assert is_mounted(mount.path)
        assert os.listdir(mount.path) == ["folder"]
        inside.communicate()  # its input ends, and so does it
    os.rmdir(f"{pyftpdlib.root}/folder")


def test_umount_by_the_system(pyftpdlib: Server, home: Home) -> None:
    mount = mount_at(home[0], home[1], pyftpdlib.url, *pyftpdlib.options)
    subprocess.run(["umount", home[1]], check=True)
    assert_ended(mount.pid)
    assert_healthy(mount)
    again = mount_at(home[0], home[1], pyftpdlib.url, *pyftpdlib.options)
    subprocess.run(["fusermount3", "-u", home[1]], check=True)
    assert_ended(again.pid)
