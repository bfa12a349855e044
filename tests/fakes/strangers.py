"""Servers that cannot be started here, and broken ones, after what users have reported of them."""

from __future__ import annotations

import contextlib
import socket

from fakes.ftpserver import WAIT_S, FtpServer, Talk

# -- other people's servers -----------------------------------------------------------------------


class Iis(Talk):
    """Microsoft's: DOS listings, the texts of Windows, no MLSD, no rename onto a file."""

    greeting = "220 Microsoft FTP Service"
    features = ("LANG EN*", "UTF8", "HOST", "SIZE", "MDTM", "REST STREAM")
    lacks = ("MLSD", "MLST", "MFMT")
    texts = {  # noqa: RUF012 - read only
        "absent": "550 The system cannot find the file specified. ",
        "no file": "550 Access is denied. ",
        "no directory": "550 The directory name is invalid. ",
        "exists": "550 Cannot create a file when that file already exists. ",
        "not empty": "550 The directory is not empty. ",
        "no parent": "550 The system cannot find the path specified. ",
        "starting": "125 Data connection already open; Transfer starting.",
    }

    def unknown(self, _argument: str) -> None:
        self.say("500 Command not understood. ")

    def do_list(self, argument: str) -> None:
        if argument:  # taken for a name
            self.refuse("absent", argument)
            return
        super().do_list(argument)

    def list_line(self, name: str, data: bytes | None) -> str:
        return (
            f"01-02-24  03:04AM {'<DIR>         ' if data is None else f'{len(data):>20}'} {name}"
        )

    def do_rnto(self, argument: str) -> None:
        if self.exists(argument):
            self.refuse("exists", argument)
        else:
            super().do_rnto(argument)


class OldFileZilla(Talk):
    """FileZilla Server 0.9: its own texts, no rename onto a file."""

    greeting = "220-FileZilla Server version 0.9.41 beta\r\n220 written by Tim Kosse"
    texts = {  # noqa: RUF012 - read only
        "absent": "550 File not found",
        "no file": "550 File not found",
        "no directory": "550 Directory not found",
        "exists": "550 Directory already exists",
        "not empty": "550 Directory not empty.",
        "no parent": "550 Filename invalid",
        "starting": "150 Opening data channel for file transfer.",
    }

    def do_cwd(self, argument: str) -> None:
        if self.is_directory(argument):
            super().do_cwd(argument)
        else:
            self.say(f'550 CWD failed. "{argument}": directory not found.')

    def do_rnto(self, argument: str) -> None:
        if self.exists(argument):
            self.say("550 file exists")
        else:
            super().do_rnto(argument)


class Router(Talk):
    """As little as a firmware has: LIST, PASV without brackets, and the transfers."""

    greeting = "220 FTP server ready."
    lacks = (
        *("FEAT", "SIZE", "MDTM", "MFMT", "MLSD", "MLST", "EPSV", "OPTS", "REST", "APPE"),
        *("SITE", "STAT"),
    )

    def unknown(self, _argument: str) -> None:
        self.say("502 Command not implemented")

    def do_list(self, argument: str) -> None:
        if argument:  # looked for, not found, and listed as nothing
            self.send(b"")
            return
        super().do_list(argument)

    def do_pasv(self, _argument: str) -> None:
        port = self.listen()
        self.say(f"227 Entering Passive Mode 127,0,0,1,{port // 256},{port % 256}")


# -- few connections ------------------------------------------------------------------------------


class Crowded(Talk):
    """Two connections and no more; the third is greeted by a 421."""

    limit = 2

    def run(self) -> None:
        if self.server.open_talks > self.limit:
            self.greeting = f"421 Too many connections ({self.limit}) from this IP"
        super().run()

    def converse(self) -> None:
        if self.greeting.startswith("220"):
            super().converse()


class CrowdedAtLogin(Talk):
    """The same, said after the password."""

    limit = 2
    refusal = f"530 Sorry, the maximum number of clients ({limit}) has been reached."

    def do_pass(self, argument: str) -> None:
        if self.server.open_talks > self.limit:
            self.say(self.refusal)
            self.hang_up()
        else:
            super().do_pass(argument)


class CrowdedInOtherWords(CrowdedAtLogin):
    """The same, and no word of why."""

    refusal = "530 Login incorrect."


# -- data connections that do not come about ------------------------------------------------------


class Natted(Talk):
    """Behind a router, unaware of its own address: RFC 1918's stands in the 227."""

    lacks = ("EPSV",)

    def do_pasv(self, _argument: str) -> None:
        port = self.listen()
        self.say(f"227 Entering Passive Mode (10,0,0,1,{port // 256},{port % 256})")


class Filtered(Talk):
    """A firewall knows PASV only: the port that EPSV names can be called, nobody answers."""

    def __init__(self, server: FtpServer, control: socket.socket) -> None:
        super().__init__(server, control)
        self.silent: list[socket.socket] = []

    def run(self) -> None:
        try:
            super().run()
        finally:
            for each in self.silent:
                each.close()

    def do_epsv(self, _argument: str) -> None:
        self.listen()  # where nobody will come
        self.say(f"229 Entering Extended Passive Mode (|||{self.unanswered()}|)")

    def unanswered(self) -> int:
        """A port whose queue of callers is full: the kernel drops whoever calls."""
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        self.silent.append(listener)
        port: int = listener.getsockname()[1]
        for _ in range(2):
            caller = socket.socket()
            caller.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                caller.connect(("127.0.0.1", port))
            self.silent.append(caller)
        return port


class Mute(Talk):
    """The same, but the data connection is taken: no byte ever comes over it."""

    def do_epsv(self, argument: str) -> None:
        self.stuck = True
        super().do_epsv(argument)

    def do_pasv(self, argument: str) -> None:
        self.stuck = False
        super().do_pasv(argument)

    def begin(self) -> None:
        """Says nothing before there is a connection."""

    def send(self, content: bytes) -> None:
        if not self.stuck:
            super().send(content)
            return
        self.begin()
        self.server.stopping.wait(WAIT_S)  # the kernel has taken it


class MuteAfter150(Mute):
    """The same of one that says 150 before it has the connection."""

    def begin(self) -> None:
        self.say(self.texts["starting"])


# -- final replies --------------------------------------------------------------------------------


class Late(Talk):
    """Copies or scans each upload before it says 226: until the test lets it go on."""

    DELAY_S = 1.5  # the client of the test waits 1 s for an ordinary reply

    def received(self, argument: str) -> None:
        self.server.stopping.wait(self.DELAY_S)
        super().received(argument)


class Lost(Talk):
    """The first connection that has moved a file is gone before it says 226."""

    def lose(self) -> bool:
        if len(self.server.talks) > 1:
            return False
        self.hang_up()
        return True

    def received(self, argument: str) -> None:
        if not self.lose():
            super().received(argument)

    def do_retr(self, argument: str) -> None:
        self.retrieving = True
        super().do_retr(argument)
        self.retrieving = False

    retrieving = False

    def sent(self) -> None:
        if not (self.retrieving and self.lose()):
            super().sent()


class Straggler(Talk):
    """Says 226 for a transfer that was cut short, and a 426 ahead of the next reply."""

    owed: tuple[str, ...] = ()

    def send(self, content: bytes) -> None:
        self.say(self.texts["starting"])
        try:
            with self.data_connection() as data:
                data.sendall(content)
        except (BrokenPipeError, ConnectionResetError):
            self.owed = ("426 Connection closed; transfer aborted.",)
        self.sent()

    def say(self, *lines: str) -> None:
        owed, self.owed = self.owed, ()
        if owed and lines[0].startswith("226"):  # that of the transfer itself comes first
            self.owed, owed = owed, ()
        super().say(*owed, *lines)


class Ragged(Talk):
    """Ends data connections without close_notify, as IIS and others do."""

    def end_data(self, data: socket.socket) -> None:
        """Nothing is said."""


class Short(Ragged):
    """Breaks off in the middle of a file, and says that all went well."""

    def do_retr(self, argument: str) -> None:
        content = self.server.tree[self.path(argument)] or b""
        offset, self.offset = self.offset, 0
        self.send(content[offset : len(content) // 2])


class Breaking(Talk):
    """Breaks off the first downloads before the first byte: its disk, or a proxy, is not there."""

    times = 3

    def do_retr(self, argument: str) -> None:
        if self.server.verbs().count("RETR") > self.times:
            super().do_retr(argument)
            return
        self.offset = 0
        self.say(self.texts["starting"])
        with self.data_connection():
            pass
        self.say("426 Failure reading from the local file.")


class AlwaysBreaking(Breaking):
    times = 1000


# -- listings -------------------------------------------------------------------------------------


class Speechless(Talk):
    """Knows MLSD, says 150 to it, and then nothing."""

    def do_mlsd(self, _argument: str) -> None:
        self.say("150 here it comes")
        with self.data_connection():
            self.server.stopping.wait(WAIT_S)
