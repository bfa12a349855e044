"""The embedded FTP server, on pyftpdlib: what `ftpfs demo` mounts and what tests talk to.

    python -m ftpfs.demo.server ROOT [--port N] [--no-mlsd] [--user U] [--password P]
                                     [--tls explicit|implicit --certificate PEM]

prints `PORT n` once it listens, and serves until SIGTERM or until its standard input closes, so
that it never outlives whoever started it.

One process, one thread, asynchronous; nothing here is shared between threads but `stop`.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import logging
import os
import signal
import struct
import sys
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any

from ftpfs.errors import UsageError
from ftpfs.options import TlsMode

POLL_S = 0.2  # how often stop() is asked while nobody talks to the server
PERMISSIONS = "elradfmwMT"  # all that pyftpdlib knows: list, read, write, rename, chmod, mtime


def serve(
    root: str,
    *,
    user: str = "demo",
    password: str = "demo",
    port: int = 0,
    host: str = "127.0.0.1",
    ready: Callable[[int], None],
    stop: Callable[[], bool],
    mlsd: bool = True,
    command_log: str | None = None,
    tls: TlsMode = TlsMode.NONE,
    certificate: str | None = None,
) -> None:
    """Serve `root` to one user until `stop()` is true; `ready(port)` is called once listening.

    `mlsd=False` takes MLSD and MLST away, as on servers that only know LIST. `command_log` names
    a file that receives `command LINE` for each command (PASS masked) and `login USER` for each
    login, before they are answered. With TLS, which is demanded of every client then, `certificate`
    is a PEM file with the key in it. Raises UsageError without pyftpdlib, for a root that is no
    directory, TLS without a certificate and a port that cannot be had.
    """
    if not os.path.isdir(root):
        raise UsageError(f"not a directory: {root}")
    if tls is not TlsMode.NONE and not os.path.isfile(certificate or ""):
        raise UsageError("with TLS the server needs a certificate: a PEM file with the key in it")
    with _log_file(command_log) as log:
        handler = _handler_class(log, mlsd=mlsd, tls=tls)
        handler.certfile = certificate
        handler.authorizer = _authorizer(root, user, password)
        server = _listen(handler, host, port)
        try:
            ready(server.address[1])
            while not stop():
                server.ioloop.loop(timeout=POLL_S, blocking=False)
        finally:
            server.close_all()


def check_available() -> None:
    """Raises UsageError where pyftpdlib is not installed."""
    _pyftpdlib()


def sample_files(root: str) -> None:
    """Write a small tree to look around in: text, pictures, a blank and an umlaut in a name."""
    texts = {
        "readme.txt": "Welcome! These files live on an FTP server.\n"
        "Open them, change them, copy your own ones here.\n",
        "notes/shopping list.txt": "bread\ncheese\napples\n",
        "notes/Grüße aus Köln.txt": "Viele Grüße vom Rhein!\n",
        "notes/numbers.csv": "n,square\n" + "".join(f"{n},{n * n}\n" for n in range(1, 101)),
    }
    colours = {"dawn": (250, 160, 90), "forest": (40, 140, 60), "sea": (30, 90, 190)}
    for folder in ("notes", "photos", "empty"):
        os.makedirs(os.path.join(root, folder), exist_ok=True)
    for name, text in texts.items():
        with open(os.path.join(root, name), "w", encoding="utf-8") as out:
            out.write(text)
    for name, colour in colours.items():
        with open(os.path.join(root, "photos", f"{name}.png"), "wb") as picture:
            picture.write(_png(160, 100, colour))


def _png(width: int, height: int, colour: tuple[int, int, int]) -> bytes:
    """A PNG that fades from black (top) to `colour` (bottom)."""
    rows = bytearray()
    for y in range(height):
        shade = bytes(part * y // max(height - 1, 1) for part in colour)
        rows += b"\0" + shade * width  # filter type 0, then the pixels

    def chunk(kind: bytes, data: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + crc

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)  # 8 bits, RGB
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


# -- pyftpdlib ------------------------------------------------------------------------------------


@functools.cache
def _pyftpdlib() -> Any:
    """The package with the modules used here, silent: it would log to stderr otherwise."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # asyncore, on Python 3.11
            import pyftpdlib
            import pyftpdlib.authorizers
            import pyftpdlib.filesystems
            import pyftpdlib.handlers
            import pyftpdlib.ioloop
            import pyftpdlib.servers
    except ImportError as error:
        raise UsageError("the demo needs pyftpdlib: pip install 'ftpfs[demo]'") from error
    logger = logging.getLogger("pyftpdlib")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    logger.propagate = False
    return pyftpdlib


def _base_handler(tls: TlsMode) -> Any:
    lib = _pyftpdlib()
    if tls is TlsMode.NONE:
        return lib.handlers.FTPHandler
    base: Any = getattr(lib.handlers, "TLS_FTPHandler", None)
    if base is None:
        raise UsageError("TLS in the demo needs pyOpenSSL: pip install pyopenssl")

    class Tls(base):  # type: ignore[misc]  # known at run time
        tls_control_required = tls_data_required = True
        ssl_context = None  # the shipped class keeps that of the first server there was

    class Implicit(Tls):
        def handle(self) -> None:
            self.secure_connection(self.ssl_context)

        def handle_ssl_established(self) -> None:
            super().handle()  # greets

    return Implicit if tls is TlsMode.IMPLICIT else Tls


def _handler_class(log: IO[str] | None, *, mlsd: bool, tls: TlsMode) -> Any:
    """A handler class of its own for each server, as pyftpdlib keeps settings in the class."""
    lib = _pyftpdlib()
    base_filesystem: Any = lib.filesystems.AbstractedFS
    base_handler: Any = _base_handler(tls)

    class RootedFilesystem(base_filesystem):  # type: ignore[misc]  # known at run time
        """Remembers the working directory instead of moving the whole process there.

        The shipped class calls os.chdir, which breaks every other client, and the process, when
        that directory goes away.
        """

        def chdir(self, path: str) -> None:
            with os.scandir(path):  # raises what chdir would: absent, not a directory, denied
                self.cwd = self.fs2ftp(path)

    class Handler(base_handler):  # type: ignore[misc]  # known at run time
        abstracted_fs = RootedFilesystem
        banner = "ftpfs demo server ready."
        auth_failed_timeout = 0  # seconds; the shipped 3 only slow down tests on loopback
        unicode_errors = "surrogateescape"  # names are bytes; shipped: what is not UTF-8 is `?`
        proto_cmds = {  # noqa: RUF012 - read only, as in the base class
            name: what
            for name, what in base_handler.proto_cmds.items()
            if mlsd or name not in ("MLSD", "MLST")
        }

        def pre_process_command(self, line: str, cmd: str, arg: str) -> None:
            if log is not None:
                log.write(f"command {'PASS ******' if cmd == 'PASS' else line}\n")
            super().pre_process_command(line, cmd, arg)

        def push(self, data: str) -> None:
            """Send a reply; the shipped method drops the client for a name that is not UTF-8."""
            lib.ioloop.AsyncChat.push(self, data.encode(self.encoding, self.unicode_errors))

        def on_login(self, username: str) -> None:
            if log is not None:
                log.write(f"login {username}\n")

    return Handler


def _authorizer(root: str, user: str, password: str) -> Any:
    authorizer = _pyftpdlib().authorizers.DummyAuthorizer()
    authorizer.add_user(user, password, os.path.abspath(root), perm=PERMISSIONS)
    return authorizer


def _listen(handler: Any, host: str, port: int) -> Any:
    lib = _pyftpdlib()
    loop = lib.ioloop.IOLoop.factory()  # not the global one: serve() may be called again
    try:
        return lib.servers.FTPServer((host, port), handler, ioloop=loop)
    except OSError as error:
        loop.close()
        raise UsageError(f"cannot listen on {host}:{port}: {error}") from error


@contextlib.contextmanager
def _log_file(path: str | None) -> Iterator[IO[str] | None]:
    if path is None:
        yield None
        return
    with open(path, "a", buffering=1, encoding="utf-8", errors="backslashreplace") as log:
        yield log


# -- the command ----------------------------------------------------------------------------------


def main(arguments: list[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    # A daemon thread on the bare descriptor: it may sit in read() when the process ends.
    waiter = threading.Thread(
        target=_wait_for_end_of_input, args=(stopped,), name="demo-stdin", daemon=True
    )
    waiter.start()
    try:
        serve(
            options.root,
            user=options.user,
            password=options.password,
            port=options.port,
            ready=_say_port,
            stop=stopped.is_set,
            mlsd=options.mlsd,
            command_log=options.command_log,
            tls=TlsMode(options.tls),
            certificate=options.certificate,
        )
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    except KeyboardInterrupt:
        pass
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m ftpfs.demo.server")
    parser.add_argument("root", help="the directory to serve")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--no-mlsd", dest="mlsd", action="store_false", help="know only LIST")
    parser.add_argument("--user", default="demo")
    parser.add_argument("--password", default="demo")
    parser.add_argument("--command-log", metavar="FILE", help="write each command there")
    parser.add_argument("--tls", choices=[m.value for m in TlsMode], default=TlsMode.NONE.value)
    parser.add_argument("--certificate", metavar="PEM", help="with its key, for --tls")
    return parser


def _say_port(port: int) -> None:
    print(f"PORT {port}", flush=True)  # noqa: T201 - the one line this command is asked for


def _wait_for_end_of_input(stopped: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stopped.set()


if __name__ == "__main__":
    sys.exit(main())
