"""What the files of a mount are read through: readers that are made, kept, and fetched ahead.

Called from many threads; what is shared here has locks of its own, or is guarded as said.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from cachetools import TTLCache

from ftpfs.cache.blocks import BlockCache
from ftpfs.config import AHEAD_BYTES, KEPT_READERS, READ_CACHE_LEAST_BYTES
from ftpfs.content.kept import KeptReaders, Version
from ftpfs.content.reader import Reader
from ftpfs.content.segments import Verdict
from ftpfs.content.streams import Ways
from ftpfs.errors import BadHandleError, ChangedError
from ftpfs.options import MountOptions
from ftpfs.remote.api import Download, Entry, Remote, Spare
from ftpfs.vfs.edited import EditedFile
from ftpfs.vfs.namespace import Namespace

log = logging.getLogger(__name__)


def _unopened(_spare: Spare | None, _offset: int) -> Download:
    raise BadHandleError("read after it was closed")


def _confirmed(download: Download, reader: Reader, size: int | None, epoch: int) -> Download | None:
    """The download if it is of the version that `reader` reads; None where the `epoch` is over in
    which it was asked for. Raises ChangedError where it is another version."""
    try:
        if download.found is None or reader.identity.confirmed(download.found, size, epoch):
            return download
    except BaseException:
        download.close()
        raise
    download.close()
    return None


class Readers:
    """Readers of open files, of files that were closed, and of such as may be opened soon."""

    def __init__(self, remote: Remote, options: MountOptions, namespace: Namespace) -> None:
        # set once
        self._remote = remote
        self._namespace = namespace
        self._blocks = BlockCache(max(READ_CACHE_LEAST_BYTES, options.read_cache))
        self._kept = KeptReaders(options.dir_cache, namespace.clock)
        self._verdict = Verdict()
        # Files of which the kernel may have the size of an older version, until it asks again.
        # Guarded by the lock of Files.
        self._behind: TTLCache[str, bool] = TTLCache(
            KEPT_READERS, max(options.kernel_cache_s(), 1e-3), timer=namespace.clock
        )

    # -- for files that are open --------------------------------------------------------------

    def new(self, file: EditedFile, size: int) -> Reader:
        """A reader of the version that a file was opened with; one that was kept, if there is."""
        kept = self._kept.take(file.path, file.version)
        if kept is not None and size == kept.reader.size:
            file.opened_at = kept.since
            reader = kept.reader
        else:
            reader = self._made(file.path, size)

        def open_read(spare: Spare | None, offset: int) -> Download:
            download = None
            while download is None:  # the file was changed from here while it was being opened
                file.wait_while_in_place()
                download = self._opened_read(file, reader, spare, offset)
            return download

        reader.use(self._ways(open_read))
        return reader

    def _opened_read(
        self, file: EditedFile, reader: Reader, spare: Spare | None, offset: int
    ) -> Download | None:
        """A download of the version that `reader` reads; None where that was changed meanwhile, by
        this mount itself."""
        epoch, base = reader.identity.epoch, file.base
        way = self._remote if spare is None else spare
        download = way.open_read(file.path, offset, identify=True)
        return _confirmed(download, reader, None if base is None else base.size, epoch)

    def done(self, file: EditedFile, reader: Reader) -> None:
        """The file is closed, or its reader is of no use to it any more."""
        reader.rest()
        if reader.outgrown:
            log.warning("%s: longer on the server than the %d bytes read", file.path, reader.size)
            self._namespace.forget(file.path)
        self._rested(file.path, reader)
        self._kept.put(file.path, file.version, reader, file.opened_at)

    # -- what the kernel has of a file --------------------------------------------------------

    def kernel_is_right(self, path: str, version: Version, *, outdated: bool) -> bool:
        """Whether the kernel may keep what it has of a file that is opened now, by nobody else;
        `outdated`: another version of it was open until now."""
        if outdated or self._kept.was_other(path, version):
            self.kernel_falls_behind(path)
        return self._kept.was_read(path, version)

    def kernel_falls_behind(self, path: str) -> None:
        """From now on the path has another version; the kernel finds out when it asks again."""
        self._behind[path] = True

    def kernel_is_behind(self, path: str) -> bool:
        """Whether the kernel may have the size of an older version yet."""
        return path in self._behind

    # -- for files that nobody has open -------------------------------------------------------

    def _made(self, path: str, size: int) -> Reader:
        reader = Reader(self._ways(_unopened), size, self._blocks)
        self._rested(path, reader)
        return reader

    def _rested(self, path: str, reader: Reader) -> None:
        """From now on the file is read as one that nobody has open."""

        def open_read(spare: Spare | None, offset: int) -> Download:
            if spare is None:
                return _unopened(spare, offset)
            epoch = reader.identity.epoch
            download = spare.open_read(path, offset, identify=True)
            try:
                confirmed = _confirmed(download, reader, reader.size, epoch)
            except ChangedError:
                self._namespace.forget(path)  # who opens it sees the file as it is now
                raise
            if confirmed is None:
                raise ChangedError(f"{path}: changed from here")
            return confirmed

        reader.use(self._ways(open_read))

    def _ways(self, open_read: Callable[[Spare | None, int], Download]) -> Ways:
        return Ways(open_read, self._remote.spare, self._verdict, lambda: self._remote.seeks)

    def expected(self, path: str, entry: Entry) -> Reader | None:
        """A reader of a small file that is about to be fetched; None where it is here, or will
        be."""
        version = Version.of(entry, self._namespace.now_ns())
        return self._kept.to_fetch(path, version, lambda: self._made(path, entry.size))

    @property
    def ahead_bytes(self) -> int:
        """How much to fetch before it is asked for."""
        return min(AHEAD_BYTES, self._blocks.max_bytes // 4)

    def forget(self, path: str) -> None:
        """The file at `path` is another one by now, or none."""
        self._kept.forget(path)

    def forget_tree(self, path: str) -> None:
        """The file or directory at `path` has another name by now."""
        self._kept.forget(path)
        self._kept.forget_below(path)

    def close(self) -> None:
        self._kept.close()
