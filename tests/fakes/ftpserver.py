"""An FTP server of a few hundred lines that tests bend to their needs: one verb replaced, and it is
somebody else's server, or a broken one.

    class Refusing(Talk):
        def do_stor(self, argument: str) -> None:
            self.say("553 not today")

    with ftp_server(Refusing) as server:
        server.tree["/file"] = b"content"
        mount(server.url)

Real sockets on loopback, one thread for each control connection; files are kept in memory.
"""

from __future__ import annotations

import contextlib
import posixpath
import select
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

USER, PASSWORD = "demo", "demo"
POLL_S = 0.05  # how often it is looked whether the test is over
WAIT_S = 20.0  # a client that does not connect, or go on, by then is broken
JOIN_S = 10.0
TIME = "20240102030405"  # of every file, unless it was set


@dataclass
class FtpServer:
    """A running server. `tree` maps absolute paths to content, None for directories."""

    talk: type[Talk]
    listener: socket.socket
    tree: dict[str, bytes | None] = field(default_factory=lambda: {"/": None})
    times: dict[str, str] = field(default_factory=dict)
    commands: list[str] = field(default_factory=list)  # of all connections, in order
    talks: list[Talk] = field(default_factory=list)  # all that ever were
    threads: list[threading.Thread] = field(default_factory=list)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def port(self) -> int:
        port: int = self.listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        scheme = "ftp" if self.talk.context is None else "ftpes"
        return f"{scheme}://{USER}:{PASSWORD}@127.0.0.1:{self.port}/"

    @property
    def open_talks(self) -> int:
        """Control connections that are open now."""
        return sum(not talk.ended for talk in self.talks)

    def verbs(self) -> list[str]:
        return [command.split(" ")[0] for command in self.commands]

    def accept(self) -> None:
        """Serve until the listener is closed; the thread of the server."""
        with contextlib.suppress(OSError):
            while True:
                control, _ = self.listener.accept()
                talk = self.talk(self, control)
                self.talks.append(talk)
                thread = threading.Thread(target=talk.run, name=f"ftp-{len(self.talks)}")
                self.threads.append(thread)
                thread.start()


@contextlib.contextmanager
def ftp_server(talk: type[Talk] | None = None) -> Iterator[FtpServer]:
    """A server that speaks as `talk` does; all its threads have ended when this is over."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = FtpServer(talk or Talk, listener)
        acceptor = threading.Thread(target=server.accept, name="ftp-accept")
        acceptor.start()
        try:
            yield server
        finally:
            server.stopping.set()
            listener.shutdown(socket.SHUT_RDWR)
            for each in server.talks:
                each.hang_up()
            for thread in (acceptor, *server.threads):
                thread.join(JOIN_S)
                assert not thread.is_alive(), f"{thread.name} does not end"


class Talk:
    """One control connection, and how this server answers. Used by its own thread alone."""

    greeting = "220 ready"
    features: tuple[str, ...] = (
        "SIZE",
        "MDTM",
        "MFMT",
        "REST STREAM",
        "MLST type*;size*;modify*;",
        "EPSV",
        "UTF8",
    )
    context: ssl.SSLContext | None = None  # AUTH TLS is known where there is one
    lacks: tuple[str, ...] = ()  # verbs of this class that the server is not to know
    texts: dict[str, str] = {  # noqa: RUF012 - read only
        "absent": "550 {}: No such file or directory",
        "no file": "550 {}: Is a directory",
        "no directory": "550 {}: Not a directory",
        "exists": "550 {}: File exists",
        "not empty": "550 {}: Directory not empty",
        "no parent": "550 {}: No such file or directory",
        "starting": "150 here it comes",
    }

    def __init__(self, server: FtpServer, control: socket.socket) -> None:
        self.server = server
        self.control = control
        self.ended = False
        self.directory = "/"
        self.offset = 0
        self.renaming = ""
        self.passive: socket.socket | None = None

    # -- the conversation ---------------------------------------------------------------------

    def run(self) -> None:
        try:
            with contextlib.suppress(OSError):
                self.say(self.greeting)
                self.converse()
        finally:
            self.ended = True
            self.control.close()
            self.drop_passive()

    def converse(self) -> None:
        while line := self.hear():
            self.server.commands.append(line)
            verb, _, argument = line.partition(" ")
            self.obey(verb.upper(), argument)
            if verb.upper() == "QUIT":
                return

    def hear(self) -> str:
        """The next line; "" at the end. Byte by byte: what follows AUTH is no line."""
        raw = bytearray()
        while not raw.endswith(b"\n") and (byte := self.control.recv(1)):
            raw += byte
        return raw.decode("utf-8", "surrogateescape").rstrip("\r\n")

    def obey(self, verb: str, argument: str) -> None:
        answer = None if verb in self.lacks else getattr(self, f"do_{verb.lower()}", None)
        (answer or self.unknown)(argument)

    def unknown(self, _argument: str) -> None:
        self.say("500 what?")

    def say(self, *lines: str) -> None:
        text = "".join(line + "\r\n" for line in lines)
        self.control.sendall(text.encode("utf-8", "surrogateescape"))

    def hang_up(self) -> None:
        """End the conversation, from any thread."""
        with contextlib.suppress(OSError):
            self.control.shutdown(socket.SHUT_RDWR)

    # -- login and settings -------------------------------------------------------------------

    def do_auth(self, argument: str) -> None:
        if self.context is None:
            self.unknown(argument)
            return
        self.say("234 go on")
        self.control = self.context.wrap_socket(self.control, server_side=True)

    def do_user(self, _argument: str) -> None:
        self.say("331 password?")

    def do_pass(self, _argument: str) -> None:
        self.say("230 welcome")

    def do_quit(self, _argument: str) -> None:
        self.say("221 bye")

    def do_feat(self, _argument: str) -> None:
        self.say("211-here", *(f" {feature}" for feature in self.features), "211 end")

    def do_noop(self, _argument: str) -> None:
        self.say("200 ok")

    do_type = do_opts = do_pbsz = do_prot = do_noop

    # -- names --------------------------------------------------------------------------------

    def path(self, argument: str) -> str:
        return posixpath.normpath(posixpath.join(self.directory, argument))

    def children(self, directory: str) -> dict[str, bytes | None]:
        """What is in it, by name."""
        return {
            posixpath.basename(path): data
            for path, data in sorted(self.server.tree.items())
            if path != "/" and posixpath.dirname(path) == directory
        }

    def exists(self, argument: str) -> bool:
        return self.path(argument) in self.server.tree

    def is_directory(self, argument: str) -> bool:
        return self.server.tree.get(self.path(argument), b"") is None

    def refuse(self, why: str, argument: str) -> None:
        self.say(self.texts[why].format(argument))

    def do_pwd(self, _argument: str) -> None:
        self.say(f'257 "{self.directory}"')

    def do_cwd(self, argument: str) -> None:
        if not self.is_directory(argument):
            self.refuse("no directory" if self.exists(argument) else "absent", argument)
            return
        self.directory = self.path(argument)
        self.say("250 there")

    def do_size(self, argument: str) -> None:
        data = self.server.tree.get(self.path(argument))
        self.refuse("absent", argument) if data is None else self.say(f"213 {len(data)}")

    def do_mdtm(self, argument: str) -> None:
        if not self.exists(argument) or self.is_directory(argument):
            self.refuse("absent", argument)
            return
        self.say(f"213 {self.server.times.get(self.path(argument), TIME)}")

    def do_mfmt(self, argument: str) -> None:
        time, _, name = argument.partition(" ")
        if not self.exists(name):
            self.refuse("absent", name)
            return
        self.server.times[self.path(name)] = time
        self.say(f"213 Modify={time}; {name}")

    def facts(self, path: str, name: str) -> str:
        data = self.server.tree[path]
        modify = f"modify={self.server.times.get(path, TIME)};"
        return (
            f"type=dir;{modify} {name}"
            if data is None
            else f"type=file;size={len(data)};{modify} {name}"
        )

    def do_mlst(self, argument: str) -> None:
        path = self.path(argument)
        if not self.exists(argument):
            self.refuse("absent", argument)
            return
        self.say("250-here", f" {self.facts(path, path)}", "250 end")

    def do_mkd(self, argument: str) -> None:
        if self.exists(argument):
            self.refuse("exists", argument)
        elif not self.is_directory(posixpath.dirname(self.path(argument))):
            self.refuse("no parent", argument)
        else:
            self.server.tree[self.path(argument)] = None
            self.say(f'257 "{argument}"')

    def do_rmd(self, argument: str) -> None:
        if not self.is_directory(argument):
            self.refuse("no directory" if self.exists(argument) else "absent", argument)
        elif self.children(self.path(argument)):
            self.refuse("not empty", argument)
        else:
            del self.server.tree[self.path(argument)]
            self.say("250 gone")

    def do_dele(self, argument: str) -> None:
        if self.is_directory(argument):
            self.refuse("no file", argument)
        elif self.server.tree.pop(self.path(argument), None) is None:
            self.refuse("absent", argument)
        else:
            self.say("250 gone")

    def do_rnfr(self, argument: str) -> None:
        if not self.exists(argument):
            self.refuse("absent", argument)
            return
        self.renaming = self.path(argument)
        self.say("350 to?")

    def do_rnto(self, argument: str) -> None:
        old, new = self.renaming, self.path(argument)
        tree = self.server.tree
        for path in [path for path in tree if path == old or path.startswith(f"{old}/")]:
            tree[new + path[len(old) :]] = tree.pop(path)
        self.say("250 renamed")

    # -- data connections ---------------------------------------------------------------------

    def do_epsv(self, _argument: str) -> None:
        self.say(f"229 here (|||{self.listen()}|)")

    def do_pasv(self, _argument: str) -> None:
        port = self.listen()
        self.say(f"227 here (127,0,0,1,{port // 256},{port % 256})")

    def listen(self) -> int:
        """A port for the next data connection."""
        self.drop_passive()
        self.passive = socket.create_server(("127.0.0.1", 0))
        port: int = self.passive.getsockname()[1]
        return port

    def drop_passive(self) -> None:
        if self.passive is not None:
            self.passive.close()
            self.passive = None

    def data_connection(self) -> socket.socket:
        """The one that the client opens, once it has."""
        assert self.passive is not None, "a transfer without EPSV or PASV"
        while not select.select([self.passive], [], [], POLL_S)[0]:
            if self.server.stopping.is_set():
                raise ConnectionAbortedError
        data, _ = self.passive.accept()
        self.drop_passive()
        data.settimeout(WAIT_S)
        if isinstance(self.control, ssl.SSLSocket) and self.context is not None:
            return self.context.wrap_socket(data, server_side=True)
        return data

    def end_data(self, data: socket.socket) -> None:
        """All was sent: TLS ends with a close_notify."""
        if isinstance(data, ssl.SSLSocket):
            data.unwrap()

    def do_rest(self, argument: str) -> None:
        self.offset = int(argument)
        self.say("350 go on")

    def do_retr(self, argument: str) -> None:
        content = self.server.tree.get(self.path(argument))
        if content is None:
            self.refuse("no file" if self.exists(argument) else "absent", argument)
            return
        offset, self.offset = self.offset, 0
        self.send(content[offset:])

    def do_mlsd(self, _argument: str) -> None:
        names = self.children(self.directory)
        lines = [self.facts(posixpath.join(self.directory, name), name) for name in names]
        self.send("".join(f"{line}\r\n" for line in lines).encode("utf-8", "surrogateescape"))

    def do_list(self, argument: str) -> None:
        lines = [
            self.list_line(name, data)
            for name, data in self.children(self.directory).items()
            if argument == "-a" or not name.startswith(".")
        ]
        dots = [self.list_line(name, None) for name in (".", "..")] if argument == "-a" else []
        text = "".join(f"{line}\r\n" for line in [*dots, *lines])
        self.send(text.encode("utf-8", "surrogateescape"))

    def list_line(self, name: str, data: bytes | None) -> str:
        kind, size = ("drwxr-xr-x", 4096) if data is None else ("-rw-r--r--", len(data))
        return f"{kind} 1 ftp ftp {size} Jan  2  2024 {name}"

    def send(self, content: bytes) -> None:
        """Send it on a data connection."""
        self.say(self.texts["starting"])
        try:
            with self.data_connection() as data:
                data.sendall(content)
                self.end_data(data)
        except (BrokenPipeError, ConnectionResetError):
            self.say("426 you hung up")
            return
        self.sent()

    def sent(self) -> None:
        """All of a download is on its way."""
        self.say("226 that is all")

    def do_stor(self, argument: str) -> None:
        old = self.server.tree.get(self.path(argument)) or b""
        offset, self.offset = self.offset, 0

        def combine(new: bytes) -> bytes:
            return old[:offset] + new + old[offset + len(new) :] if offset else new

        self.receive(argument, combine)

    def do_appe(self, argument: str) -> None:
        old = self.server.tree.get(self.path(argument)) or b""
        self.receive(argument, lambda new: old + new)

    def receive(self, argument: str, combine: Callable[[bytes], bytes]) -> None:
        """Take a file from a data connection."""
        parent = posixpath.dirname(self.path(argument))
        if self.is_directory(argument) or not self.is_directory(parent):
            self.drop_passive()
            self.refuse("no file" if self.is_directory(argument) else "no parent", argument)
            return
        self.say(self.texts["starting"])
        with self.data_connection() as data:
            content = b"".join(iter(lambda: data.recv(1 << 16), b""))
        self.server.tree[self.path(argument)] = combine(content)
        self.received(argument)

    def received(self, _argument: str) -> None:
        """All of an upload is there."""
        self.say("226 got it")
