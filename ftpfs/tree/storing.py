"""What copies to a server have in common, wherever their content comes from."""

from __future__ import annotations

from typing import Generic, TypeVar

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Kind
from ftpfs.tree.choices import Choices
from ftpfs.tree.events import Failed, File, quoted
from ftpfs.tree.place import Place
from ftpfs.tree.samefile import SameFileError
from ftpfs.tree.server import ServerPlace
from ftpfs.tree.stage import Stage
from ftpfs.tree.verifying import Verifier

S = TypeVar("S", bound=Place)


class Storing(Generic[S]):
    """Copies of one command: what they are given, and how their end is told."""

    def __init__(self, source: S, target: ServerPlace, stage: Stage, choices: Choices) -> None:
        self.source = source
        self.target = target
        self.stage = stage
        self.choices = choices
        self.verifier = Verifier(stage)

    def mode(self, file: File) -> int | None:
        """The permission bits to give to the copy; None: those that the server gives it."""
        if self.choices.modes:
            return file.entry.mode
        if file.there is not None and file.there.kind is Kind.FILE:
            return file.there.mode
        return self.mode_of_new(file)

    def mode_of_new(self, file: File) -> int | None:
        """The same for a file where there was none."""
        return None

    def stored(self, file: File, undressed: FtpfsError | None) -> None:
        """A file is on the server, whole; `undressed`: why it lacks its time or mode."""
        if undressed is not None and not self.choices.lenient:
            shown = quoted(self.target.shown(file.target))
            self.stage.emit(Failed(f"preserving times for {shown}", undressed))
        self.stage.copied(file, self.source, self.target)

    def fail(self, file: File, error: FtpfsError) -> None:
        """A file could not be written."""
        verb = "create regular file" if file.there is None else "write to"
        shown = quoted(self.target.shown(file.target))
        if isinstance(error, SameFileError):
            source = quoted(self.source.shown(file.source))
            self.stage.emit(Failed(f"{source} and {shown} are the same file", file=file))
        else:
            self.stage.emit(Failed(f"cannot {verb} {shown}", error, file))

    def fail_reading(self, file: File, error: FtpfsError) -> None:
        shown = quoted(self.source.shown(file.source))
        self.stage.emit(Failed(f"cannot open {shown} for reading", error, file))
