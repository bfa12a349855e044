"""Real FTP servers for the tests: pyftpdlib (our demo server) and vsftpd, on loopback.

Each is a context manager that gives a `Server` and leaves no process, file or mount behind:

    with vsftpd_server(root, max_per_ip=2) as server:
        mount(server.url)
        assert commands(server).count("RETR /a") == 1

vsftpd needs root: it logs in through PAM, with a service file of its own in /etc/pam.d.
"""

from __future__ import annotations

import contextlib
import dataclasses
import itertools
import os
import pwd
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator

from certificates import Certificates

CHECKOUT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
USER, PASSWORD = "demo", "demo"
START_S = 20.0  # a server that does not listen by then is broken
STOP_S = 5.0  # and one that still runs this long after SIGTERM is killed
PAM_DIRECTORY = "/etc/pam.d"

_serial = itertools.count(1)


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server. `root` is its directory on this machine, `log` its file of commands.

    `certificates`, with TLS: it shows `good`, and `options` make a mount trust that.
    """

    name: str
    url: str  # ftp://user:password@127.0.0.1:PORT/, ftpes: and ftps: with TLS
    root: str
    user: str
    password: str
    port: int
    pid: int
    log: str
    certificates: Certificates | None = None

    @property
    def options(self) -> tuple[str, ...]:
        return (f"cafile={self.certificates.cafile}",) if self.certificates else ()


def commands(server: Server) -> list[str]:
    """The FTP commands received so far, in order, as sent; passwords are masked.

    vsftpd writes `?` for each byte of a name that is not ASCII.
    """
    return [match[1] for match in re.finditer(_LOGS[server.name][0], _read(server.log))]


def connections(server: Server) -> int:
    """How many logins have succeeded so far."""
    return len(re.findall(_LOGS[server.name][1], _read(server.log)))


_LOGS = {  # server name: (a command, a login), as its log has them
    "pyftpdlib": (r"(?m)^command (.*)$", r"(?m)^login "),
    "vsftpd": (r'(?m) FTP command: Client "[^"]*", "(.*)"$', r"(?m) OK LOGIN: Client "),
}


def _read(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as log:
        return log.read()


# -- pyftpdlib ------------------------------------------------------------------------------------


@contextlib.contextmanager
def pyftpdlib_server(root: str, mlsd: bool = True, tls: str = "no") -> Iterator[Server]:
    """The demo server in a process of its own; `mlsd=False` leaves it with LIST only, `tls` is
    explicit, implicit or no."""
    with tempfile.TemporaryDirectory(prefix="ftpfs-pyftpdlib-") as work:
        log = _touch(os.path.join(work, "commands.log"))
        argv = [sys.executable, "-m", "ftpfs.demo.server", str(root)]
        argv += ["--user", USER, "--password", PASSWORD, "--command-log", log]
        argv += [] if mlsd else ["--no-mlsd"]
        certificates = Certificates(work) if tls != "no" else None
        argv += ["--tls", tls, "--certificate", certificates.good] if certificates else []
        paths = [CHECKOUT, *filter(None, [os.environ.get("PYTHONPATH")])]
        process = subprocess.Popen(
            argv,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            stdin=subprocess.PIPE,  # the server ends when this closes, should we be killed
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        with process, _stopped_at_exit(process):
            word, _, port = _first_line(process).partition(" ")
            if word != "PORT":
                raise RuntimeError(f"the demo server did not start: exit {process.wait(STOP_S)}")
            server = _server("pyftpdlib", root, int(port), process.pid, log)
            yield _with_tls(server, tls, certificates)


def _first_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()  # "" when the process ended without a word


# -- vsftpd ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def vsftpd_server(root: str, tls: str = "no", **settings: object) -> Iterator[Server]:
    """vsftpd on `root`; `settings` add to or replace lines of its configuration. `tls` is
    explicit, implicit or no; with TLS, data connections must resume the session.

    Bools become YES and NO. Logins are mapped to the system user `guest_username`: by default
    root, which sees everything a test writes into `root`. With another one (`ftp`, to be denied
    things) `root` and all in it is handed to that user first.
    """
    if os.geteuid() != 0:
        raise RuntimeError("vsftpd_server needs root: run scripts/test")
    with contextlib.ExitStack() as stack:
        work = stack.enter_context(tempfile.TemporaryDirectory(prefix="ftpfs-vsftpd-"))
        os.chmod(work, 0o711)  # the guest passes through it to its root
        log = _touch(os.path.join(work, "vsftpd.log"))
        service = stack.enter_context(_pam_service())
        guest = str(settings.get("guest_username", "root"))
        served = stack.enter_context(_reachable(str(root), guest, work))
        certificates = Certificates(work) if tls != "no" else None
        protection = _vsftpd_tls(certificates, tls) if certificates else {}
        process, port = _start_vsftpd(
            work, {**_vsftpd_settings(work, served, service, log), **protection, **settings}
        )
        os.truncate(log, 0)  # what it said to the one who looked whether it listens
        with process, _stopped_at_exit(process):
            server = _server("vsftpd", root, port, process.pid, log)
            yield _with_tls(server, tls, certificates)


def _vsftpd_settings(work: str, served: str, service: str, log: str) -> dict[str, object]:
    empty = os.path.join(work, "empty")  # where vsftpd's processes without rights are locked in
    os.mkdir(empty, 0o755)
    return {
        "listen": True,
        "listen_address": "127.0.0.1",
        "background": False,
        "ftpd_banner": "test server ready",
        # logins
        "anonymous_enable": False,
        "local_enable": True,
        "pam_service_name": service,
        "guest_enable": True,
        "guest_username": "root",
        "virtual_use_local_privs": True,
        "delay_failed_login": 0,
        "delay_successful_login": 0,
        "max_login_fails": 3,
        "max_per_ip": 0,
        "max_clients": 0,
        # files
        "local_root": served,
        "chroot_local_user": True,
        "allow_writeable_chroot": True,
        "write_enable": True,
        "local_umask": "022",
        "chmod_enable": True,
        "mdtm_write": True,
        # logs
        "xferlog_enable": True,
        "xferlog_std_format": False,
        "vsftpd_log_file": log,
        "log_ftp_protocol": True,
        # processes: sandboxes that need what containers and new kernels refuse
        "secure_chroot_dir": empty,
        "nopriv_user": "nobody",
        "seccomp_sandbox": False,
        "isolate": False,
        "isolate_network": False,
    }


def _vsftpd_tls(certificates: Certificates, tls: str) -> dict[str, object]:
    return {
        "ssl_enable": True,
        "implicit_ssl": tls == "implicit",
        "rsa_cert_file": certificates.good,
        "require_ssl_reuse": True,
        "ssl_ciphers": "HIGH",  # its own choice knows no cipher for TLS 1.2 that clients still do
    }


def _start_vsftpd(work: str, settings: dict[str, object]) -> tuple[subprocess.Popen[bytes], int]:
    """Start it on a free port; tried again when someone else took the port meanwhile."""
    program = shutil.which("vsftpd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        raise RuntimeError("vsftpd is not installed: run scripts/test")
    said = os.path.join(work, "vsftpd.out")
    for _ in range(5):
        port = _free_port()
        config = _write_config(work, {**settings, "listen_port": port})
        with open(said, "w+b") as out:
            process = subprocess.Popen(
                [program, config],
                stdin=out,  # where it complains: it takes descriptor 0 for the connection
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if _listens(process, port, implicit=bool(settings.get("implicit_ssl"))):
            return process, port
    raise RuntimeError(f"vsftpd did not start: {_read(said).strip()}")


def _write_config(work: str, settings: dict[str, object]) -> str:
    words = {True: "YES", False: "NO"}
    path = os.path.join(work, "vsftpd.conf")
    with open(path, "w", encoding="utf-8") as out:
        for name, value in settings.items():
            out.write(f"{name}={words[value] if isinstance(value, bool) else value}\n")
    return path


def _listens(process: subprocess.Popen[bytes], port: int, *, implicit: bool = False) -> bool:
    """Wait for the port to answer; False when the process ended before."""
    end = time.monotonic() + START_S
    greeted = False
    while time.monotonic() < end and process.poll() is None:
        greeted = greeted or _greets(port, implicit=implicit)
        # The session that greeted us has to be over, it would count for max_per_ip.
        if greeted and len(_family(process.pid)) == 1:
            return True
        time.sleep(0.01)
    _stop(process)
    return False


def _greets(port: int, *, implicit: bool) -> bool:
    """Connect, wait for the greeting, and leave as a client should."""
    try:
        with contextlib.ExitStack() as stack:
            probe = stack.enter_context(socket.create_connection(("127.0.0.1", port), START_S))
            if implicit:
                probe = stack.enter_context(_UNVERIFIED.wrap_socket(probe))
            greeted = probe.recv(3) == b"220"
            probe.sendall(b"QUIT\r\n")
            while probe.recv(1024):
                pass
            return greeted
    except OSError:
        return False


_UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
_UNVERIFIED.check_hostname = False
_UNVERIFIED.verify_mode = ssl.CERT_NONE


@contextlib.contextmanager
def _pam_service() -> Iterator[str]:
    """A PAM service that knows our one user and its password, and refuses without a delay.

    Of the modules every Linux has, pam_exec would be the one to compare passwords, but vsftpd
    waits for all its children in a SIGCHLD handler and hangs for good when the module's child
    ends. pam_ftp, made for anonymous logins, puts the password (up to an @) in the field for
    the remote user's name, where pam_succeed_if can read it; pam_permit only gives setcred,
    which both leave alone, a module to succeed.
    """
    service = f"ftpfs-test-{os.getpid()}-{next(_serial)}"
    path = os.path.join(PAM_DIRECTORY, service)
    try:
        with open(path, "w", encoding="utf-8") as out:
            out.write(f"auth required pam_ftp.so users={USER}\n")
            out.write(f"auth required pam_succeed_if.so quiet ruser = {PASSWORD}\n")
            out.write("auth required pam_permit.so\n")
            out.write("account required pam_permit.so\n")
        yield service
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)


@contextlib.contextmanager
def _reachable(root: str, guest: str, work: str) -> Iterator[str]:
    """A path to `root` that `guest` can walk: temporary directories are closed to all but root.

    For another guest the tree is given to it and bound to a place below `work`, so that no mode
    of a directory above `root` has to change.
    """
    if guest == "root":
        yield os.path.abspath(root)
        return
    owner = pwd.getpwnam(guest)
    for path in _tree(root):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    place = os.path.join(work, "root")
    os.mkdir(place)
    subprocess.run(["mount", "--bind", root, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def _tree(root: str) -> Iterator[str]:
    yield root
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            yield os.path.join(folder, name)


# -- both -----------------------------------------------------------------------------------------


def _server(name: str, root: str, port: int, pid: int, log: str) -> Server:
    url = f"ftp://{USER}:{PASSWORD}@127.0.0.1:{port}/"
    return Server(name, url, str(root), USER, PASSWORD, port, pid, log)


def _with_tls(server: Server, tls: str, certificates: Certificates | None) -> Server:
    scheme = {"no": "ftp", "explicit": "ftpes", "implicit": "ftps"}[tls]
    url = server.url.replace("ftp:", f"{scheme}:", 1)
    return dataclasses.replace(server, url=url, certificates=certificates)


def _touch(path: str) -> str:
    with open(path, "w", encoding="utf-8"):
        return path


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextlib.contextmanager
def _stopped_at_exit(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    """End the process and all it started; the process itself by SIGTERM first.

    Its children are killed, as vsftpd's ignore SIGTERM while they wait for a command. They go
    before their parents, who collect them: a slow init would show them as zombies.
    """
    for sign in (signal.SIGTERM, signal.SIGKILL):
        end = time.monotonic() + STOP_S
        while time.monotonic() < end:
            everyone = _family(process.pid)
            family = {pid: stat for pid, stat in everyone.items() if stat[0] != "Z"}
            if process.poll() is not None and not family:
                return
            parents = {parent for _, parent, _ in family.values()}
            for pid in family.keys() - parents:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, sign if pid == process.pid else signal.SIGKILL)
            time.sleep(0.01)
    raise RuntimeError(f"these processes did not end: {_family(process.pid)}")


def _family(top: int) -> dict[int, tuple[str, int, int]]:
    """`top`, which leads a session, the others of its session, and all their children.

    Gives state letter, parent and session of each; Z is a zombie.
    """
    table = {int(name): _stat(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    found = {pid for pid, (_, _, session) in table.items() if session == top}
    while True:
        more = {pid for pid, (_, parent, _) in table.items() if parent in found} - found
        if not more:
            return {pid: table[pid] for pid in found}
        found |= more


def _stat(pid: int) -> tuple[str, int, int]:
    """State letter, parent and session of a process; X when it is gone."""
    try:
        fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0, 0
    return fields[0], int(fields[1]), int(fields[3])
