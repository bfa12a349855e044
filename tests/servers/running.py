"""What all servers share: what is known of a running one, and how its process starts and ends."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import pwd
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator

from certificates import Certificates

CHECKOUT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
USER, PASSWORD = "demo", "demo"
PASSWORD_HASH = "$1$ftpfs$YDeI3YTgCYsQcyLuZCTPB1"  # md5-crypt of PASSWORD: quick to check
START_S = 20.0  # a server that does not listen by then is broken
QUIET_S = 0.1  # a log that has not grown for so long is complete
STOP_S = 5.0  # and one that still runs this long after SIGTERM is killed


SCHEMES = {"no": "ftp", "explicit": "ftpes", "implicit": "ftps"}  # by what `tls` of a server says


@dataclasses.dataclass(frozen=True)
class Server:
    """A running server. `root` is its directory on this machine, `log` its file of commands,
    `uid` the user that it works as.

    `certificates`, with TLS: it shows `good`, and `options` make a mount trust that, and speak to
    the server as `asked`.
    """

    name: str
    url: str  # ftp://user:password@127.0.0.1:PORT/, ftpes: and ftps: with TLS
    root: str
    user: str
    password: str
    port: int
    pid: int
    log: str
    uid: int = 0
    certificates: Certificates | None = None
    asked: tuple[str, ...] = ()

    @property
    def options(self) -> tuple[str, ...]:
        trust = (f"cafile={self.certificates.cafile}",) if self.certificates else ()
        return (*trust, *self.asked)

    @property
    def words(self) -> tuple[str, ...]:
        """The same on a command line."""
        return tuple(word for option in self.options for word in ("-o", option))

    def own(self, path: str) -> None:
        """Hand what a test has put below `root` to the server's user, who may change it then."""
        for name in (path, *tree(path)):
            os.chown(name, self.uid, -1, follow_symlinks=False)


Running = contextlib.AbstractContextManager[Server]
"""What starts a server gives this."""


def server_on(
    name: str,
    root: str,
    port: int,
    pid: int,
    log: str,
    uid: int = 0,
    tls: str = "no",
    certificates: Certificates | None = None,
) -> Server:
    url = f"{SCHEMES[tls]}://{USER}:{PASSWORD}@127.0.0.1:{port}/"
    return Server(name, url, str(root), USER, PASSWORD, port, pid, log, uid, certificates)


# -- what it was asked ----------------------------------------------------------------------------


def commands(server: Server) -> list[str]:
    """The FTP commands received so far, in order, as sent; passwords are masked.

    vsftpd and ProFTPD write `?` for each byte of a name that is not ASCII. Pure-FTPd has no such
    log.
    """
    return [match[1] for match in re.finditer(_LOGS[server.name][0], read_text(server.log))]


def all_logged(server: Server) -> None:
    """Wait until the log is complete: ProFTPD writes a command down after it has answered it."""
    if server.name == "proftpd":
        size, since = -1, 0.0
        while (now := os.path.getsize(server.log)) != size or time.monotonic() < since + QUIET_S:
            size, since = now, since if now == size else time.monotonic()
            time.sleep(0.01)


def connections(server: Server) -> int:
    """How many logins have succeeded so far."""
    return len(re.findall(_LOGS[server.name][1], read_text(server.log)))


_LOGS = {  # server name: (a command, a login), as its log has them
    "pyftpdlib": (r"(?m)^command (.*)$", r"(?m)^login "),
    "vsftpd": (r'(?m) FTP command: Client "[^"]*", "(.*)"$', r"(?m) OK LOGIN: Client "),
    "proftpd": (r"(?m)^command (.*) = \d*$", r"(?m)^command PASS .* = 230$"),
}


# -- files ----------------------------------------------------------------------------------------


def read_text(path: str) -> str:
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def write_text(path: str, text: str, mode: int = 0o644) -> str:
    """The path, for a line of a configuration."""
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(path, mode)
    return path


def tree(root: str) -> Iterator[str]:
    """All paths below `root`."""
    for folder, directories, files in os.walk(root):
        for name in (*directories, *files):
            yield os.path.join(folder, name)


@contextlib.contextmanager
def reachable(root: str, guest: str, work: str) -> Iterator[str]:
    """A path to `root` that `guest` can walk: temporary directories are closed to all but root.

    For another guest the tree is given to it and bound to a place below `work`, so that no mode
    of a directory above `root` has to change.
    """
    if guest == "root":
        yield os.path.abspath(root)
        return
    owner = pwd.getpwnam(guest)
    for path in (root, *tree(root)):
        os.chown(path, owner.pw_uid, owner.pw_gid, follow_symlinks=False)
    place = os.path.join(work, "root")
    os.mkdir(place)
    subprocess.run(["mount", "--bind", root, place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


# -- processes ------------------------------------------------------------------------------------


def started(
    said: str, arguments: Callable[[int], list[str]], *, implicit: bool = False
) -> tuple[subprocess.Popen[bytes], int]:
    """Start `arguments(port)` on a free port; tried again when someone else took it meanwhile.

    What the program writes goes to the file `said`. It greets in clear text unless `implicit`.
    """
    for _ in range(5):
        port = _free_port()
        with open(said, "w+b") as out:
            process = subprocess.Popen(
                arguments(port),
                stdin=out,  # where vsftpd complains: it takes descriptor 0 for the connection
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if _listens(process, port, implicit):
            return process, port
    raise RuntimeError(f"{arguments(0)[0]} did not start: {read_text(said).strip()}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _listens(process: subprocess.Popen[bytes], port: int, implicit: bool) -> bool:
    """Wait for the port to answer; False when the process ended before."""
    end = time.monotonic() + START_S
    greeted = False
    while time.monotonic() < end and process.poll() is None:
        greeted = greeted or _greets(port, implicit)
        # The session that greeted us has to be over, it would count for max_per_ip.
        if greeted and len(_family(process.pid)) == 1:
            return True
        time.sleep(0.01)
    stop(process)
    return False


def _greets(port: int, implicit: bool) -> bool:
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
def stopped_at_exit(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        stop(process)


@contextlib.contextmanager
def paused(server: Server) -> Iterator[None]:
    """The server, with all its sessions, answers nothing meanwhile."""
    family = [pid for pid, (state, *_) in _family(server.pid).items() if state != "Z"]
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
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
        fields = read_text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return "X", 0, 0
    return fields[0], int(fields[1]), int(fields[3])
