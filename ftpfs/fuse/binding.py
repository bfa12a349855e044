"""mfusepy on libfuse 3 (or 2), or plain fusepy on libfuse 2, behind one function.

Both bindings turn C calls into method calls on an `Operations`. What they do not do is done here,
in a subclass of their `FUSE`: READDIRPLUS, reads straight into libfuse's buffer and writes
straight from it, the flags of renameat2, UTIME_NOW and UTIME_OMIT, handles for fchmod and
futimens, and errnos from the one table.
"""

from __future__ import annotations

import codecs
import ctypes
import logging
import os
import threading
import time
from ctypes.util import find_library
from importlib import import_module
from typing import Any

from ftpfs.config import FUSE_THREADS, MAX_WRITE_BYTES
from ftpfs.errors import FtpfsError, HostError, UsageError
from ftpfs.fuse.errnos import UNEXPECTED, errno_of, is_routine
from ftpfs.fuse.operations import Operations

log = logging.getLogger(__name__)

FILL_DIR_PLUS = 2  # fuse.h: attributes are valid
UTIME_NOW = (1 << 30) - 1  # sys/stat.h
UTIME_OMIT = (1 << 30) - 2
_SECOND_NS = 1_000_000_000
_CODEC = "ftpfs_surrogateescape"


def load() -> Binding:
    """The binding that FTPFS_FUSE names (mfusepy, the default, or fusepy).

    Raises HostError where it, or its libfuse, is not installed.
    """
    choice = os.environ.get("FTPFS_FUSE") or "mfusepy"
    if choice == "mfusepy":
        library = find_library("fuse3") or find_library("fuse")
        package = "libfuse 3 is not installed: install the package fuse3"
    elif choice == "fusepy":
        library = find_library("fuse")
        package = "libfuse 2 is not installed: install the package libfuse2"
    else:
        raise UsageError(f"FTPFS_FUSE={choice}: it must be mfusepy or fusepy")
    # Told explicitly, because mfusepy would take libfuse 2 where both are installed.
    library = os.environ.setdefault("FUSE_LIBRARY_PATH", library or "")
    if not library:
        raise HostError(package)
    try:
        return Binding(import_module("mfusepy" if choice == "mfusepy" else "fuse"), choice)
    except ImportError as error:
        raise HostError(f"{choice} is not installed: pip install {choice}") from error
    except (OSError, AttributeError) as error:
        raise HostError(f"{library} cannot be used by {choice}: {error}") from error


class Binding:
    """One of the two binding modules."""

    def __init__(self, module: Any, name: str) -> None:
        self._module = module
        self.name = name
        self.major, self.minor = getattr(module, "fuse_version_major", 2), 9
        if name == "mfusepy":
            self.minor = module.fuse_version_minor

    def __str__(self) -> str:
        return f"{self.name} on libfuse {self.major}.{self.minor}"

    def run(self, operations: Operations, mountpoint: str, options: dict[str, Any]) -> None:
        """Mount, serve until unmounted, return. Raises RuntimeError where libfuse refuses."""
        if self.name == "mfusepy":
            self._mfusepy_class()(operations, mountpoint, **options)
        else:
            codecs.register(_codec)
            self._fusepy_class()(_Callable(operations), mountpoint, encoding=_CODEC, **options)

    def options(self, *, kernel_cache_s: float, kernel_absence_s: float) -> dict[str, Any]:
        """Mount options that differ between versions of libfuse."""
        if self.major == 3:
            names = ("max_threads", "max_idle_threads") if self.minor >= 12 else ()
            return {"hard_remove": True, **dict.fromkeys(names, FUSE_THREADS)}
        return {
            "hard_remove": True,
            "big_writes": True,
            "max_write": MAX_WRITE_BYTES,
            "attr_timeout": kernel_cache_s,
            "entry_timeout": kernel_cache_s,
            "negative_timeout": kernel_absence_s,
        }

    def _mfusepy_class(self) -> Any:
        """mfusepy.FUSE with our callbacks."""
        module = self._module
        base = _callbacks(module.FUSE, module.c_stat)

        class Fuse(base):  # type: ignore[misc, valid-type]  # known at run time
            def rename_fuse_3(self, old: bytes, new: bytes, flags: int) -> None:
                self.operations.rename(os.fsdecode(old), os.fsdecode(new), flags)

            def chmod_fuse_3(self, path: bytes | None, mode: int, info: Any) -> None:
                self.operations.chmod(_text(path), mode, _handle(info))

            def chown_fuse_3(self, path: bytes | None, uid: int, gid: int, info: Any) -> None:
                self.operations.chown(_text(path), _id(uid), _id(gid), _handle(info))

            def truncate_fuse_3(self, path: bytes | None, length: int, info: Any) -> None:
                self.operations.truncate(_text(path), length, _handle(info))

            def utimens_fuse_2(self, path: bytes | None, times: Any) -> None:
                self.operations.utimens(_text(path), _mtime(times))

            def utimens_fuse_3(self, path: bytes | None, times: Any, info: Any) -> None:
                self.operations.utimens(_text(path), _mtime(times), _handle(info))

            def readdir_fuse_2(self, path: Any, buf: Any, fill: Any, at: int, info: Any) -> None:
                self._list(lambda *entry, **_: fill(buf, *entry), at, info)

            def readdir_fuse_3(
                self, path: Any, buf: Any, fill: Any, at: int, info: Any, flags: int
            ) -> None:
                def fill_in(name: bytes, st: Any, offset: int, flags: int = FILL_DIR_PLUS) -> int:
                    full: int = fill(buf, name, st, offset, flags)
                    return full

                self._list(fill_in, at, info)

        return Fuse

    def _fusepy_class(self) -> Any:
        """fuse.FUSE (plain fusepy) with our callbacks."""
        module = self._module
        base = _callbacks(module.FUSE, module.c_stat)

        class Fuse(base):  # type: ignore[misc, valid-type]  # known at run time
            def utimens(self, path: bytes | None, times: Any) -> None:
                self.operations.utimens(_text(path), _mtime(times))

            def readdir(self, path: Any, buf: Any, fill: Any, at: int, info: Any) -> None:
                self._list(lambda *entry, **_: fill(buf, *entry), at, info)

        return Fuse


def _callbacks(base: Any, c_stat: Any) -> Any:  # noqa: C901 - ten callbacks, none complex
    """A subclass of a binding's FUSE with the callbacks that both bindings name alike."""

    class Callbacks(base):  # type: ignore[misc]  # known at run time
        operations: Operations

        def _wrapper(self, func: Any, *args: Any) -> int:
            """Call back, and turn whatever is raised into an errno."""
            _keep_thread_state()
            if log.isEnabledFor(logging.DEBUG):
                log.debug("%s %r", _verb(func), args[0] if args else None)
            try:
                return func(*args) or 0
            except FtpfsError as error:
                if not is_routine(error):
                    log.warning("%s: %s", _verb(func), error)
                return -errno_of(error)
            except BaseException:
                log.exception("%s failed: a defect of ftpfs", func.__name__)
                return -UNEXPECTED

        def fgetattr(self, path: bytes | None, buf: Any, info: Any) -> None:
            entry = self.operations.getattr(_text(path), _handle(info))
            self.operations.attributes.fill(buf.contents, entry)

        def _list(self, fill: Any, offset: int, info: Any) -> None:
            """Hand over a directory from `offset` on, until libfuse's buffer is full.

            Offsets must not be 0: libfuse drops the attributes of such entries. They stay those
            of the entries at `opendir`. What was changed from here since is handed over without
            attributes: the kernel knows them better.
            """
            entries = self.operations.readdir(None, info.contents.fh)
            changed = self.operations.changed(info.contents.fh)
            st = c_stat()
            pointer = ctypes.pointer(st)
            describe = self.operations.attributes.filler(st)
            for index in range(offset, len(entries) + 2):
                if index < 2:
                    if fill((b".", b"..")[index], None, index + 1):
                        return
                    continue
                name, entry = entries[index - 2]
                if not changed.get(name, True):
                    continue
                describe(entry)
                more = {"flags": 0} if name in changed else {}
                if fill(os.fsencode(name), pointer, index + 1, **more):
                    return

        def open(self, path: bytes, info: Any) -> None:
            opened = info.contents
            opened.fh = handle = self.operations.open(os.fsdecode(path), opened.flags)
            # Nothing to send: one answer less for each file that is read (libfuse 3.11).
            opened.noflush = opened.flags & os.O_ACCMODE == os.O_RDONLY
            opened.keep_cache, opened.direct_io = self.operations.pages(handle)

        def create(self, path: bytes, mode: int, info: Any) -> None:
            flags = info.contents.flags
            info.contents.fh = self.operations.create(os.fsdecode(path), mode, flags)

        def read(self, path: Any, buf: Any, size: int, offset: int, info: Any) -> int:
            return self.operations.read(info.contents.fh, _view(buf, size), offset)

        def write(self, path: Any, buf: Any, size: int, offset: int, info: Any) -> int:
            return self.operations.write(info.contents.fh, _view(buf, size), offset)

        def ftruncate(self, path: Any, length: int, info: Any) -> None:
            self.operations.truncate(None, length, info.contents.fh)

    return Callbacks


_kept = threading.local()


def _keep_thread_state() -> None:
    """Let this thread of libfuse keep its Python thread state between callbacks.

    ctypes makes one for each callback from a thread that Python does not know, and drops it
    again: an mmap, a munmap and three page faults a call. One more PyGILState_Ensure, never
    released, keeps it; the number of such threads is bounded by `max_idle_threads`.
    """
    if not hasattr(_kept, "state"):
        _kept.state = ctypes.pythonapi.PyGILState_Ensure()


class _Callable:
    """Plain fusepy calls `operations(name, ...)`; mfusepy warns of an object that can be called."""

    def __init__(self, operations: Operations) -> None:
        self._operations = operations

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operations, name)

    def __call__(self, name: str, *args: Any) -> Any:
        return getattr(self._operations, name)(*args)


def _codec(name: str) -> codecs.CodecInfo | None:
    """Bytes survive in names; plain fusepy knows an encoding but no error handler."""
    if name != _CODEC:
        return None
    return codecs.CodecInfo(
        name=_CODEC,
        encode=lambda text, _errors="": (os.fsencode(text), len(text)),
        decode=lambda data, _errors="": (os.fsdecode(bytes(data)), len(data)),
    )


def _verb(func: Any) -> str:
    """The name of a callback, whatever the libfuse it is for: getattr_fuse_3 is getattr."""
    name: str = func.__name__
    return name.split("_fuse_")[0]


def _text(path: bytes | None) -> str | None:
    return None if path is None else os.fsdecode(path)


def _handle(info: Any) -> int | None:
    return info.contents.fh if info else None


def _id(number: int) -> int:
    """A uid or gid; -1 (leave it) comes as 2**32 - 1."""
    return -1 if number == 0xFFFFFFFF else number


_memory_at = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_ssize_t, ctypes.c_int)(
    ("PyMemoryView_FromMemory", ctypes.pythonapi)
)
_PYBUF_WRITE = 0x200  # cpython/object.h


def _view(buf: Any, size: int) -> memoryview:
    """libfuse's own buffer: no byte is copied through a Python object, and no type of an array is
    made for each size."""
    view: memoryview = _memory_at(buf, size, _PYBUF_WRITE)
    return view


def _mtime(times: Any) -> int | None:
    """The modification time of utimensat(2), ns; None for UTIME_OMIT."""
    if not times:
        return time.time_ns()
    spec = times.contents.modtime
    if spec.tv_nsec == UTIME_NOW:
        return time.time_ns()
    return None if spec.tv_nsec == UTIME_OMIT else spec.tv_sec * _SECOND_NS + spec.tv_nsec
