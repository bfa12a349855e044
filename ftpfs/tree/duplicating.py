"""From the local disk to the local disk: what of `cp a ftp://server/b c` has no server in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from contextlib import suppress

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Kind
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import Failed, File, quoted
from ftpfs.tree.local import LocalPlace, local_errors
from ftpfs.tree.saving import dress
from ftpfs.tree.stage import Stage


class Duplicating:
    """Copies of one command on the local disk; for one thread."""

    def __init__(
        self, source: LocalPlace, target: LocalPlace, stage: Stage, choices: Choices
    ) -> None:
        self._source = source
        self._target = target
        self._stage = stage
        self._choices = choices

    def copy(self, files: Iterable[File]) -> None:
        for file in files:
            self._stage.check()
            try:
                with local_errors(file.target):
                    self._one(file)
            except FtpfsError as error:
                text = f"cannot copy {quoted(file.source)} to {quoted(file.target)}"
                self._stage.emit(Failed(text, error, file))
            else:
                self._stage.copied(file, self._source, self._target)

    def _one(self, file: File) -> None:
        if file.there is not None and file.there.kind is Kind.OTHER:
            with open(file.source, "rb") as source, open(file.target, "wb") as target:
                shutil.copyfileobj(source, target)
            return
        temporary = os.path.join(os.path.dirname(file.target), f".ftpfs-{os.urandom(6).hex()}")
        try:
            shutil.copyfile(file.source, temporary)
            with open(temporary, "rb") as written:
                os.fchmod(written.fileno(), (file.entry.mode or 0o666) & ~self._target.umask)
                dress(written.fileno(), file, file.entry.mtime_ns, self._choices)
            os.rename(temporary, file.target)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
