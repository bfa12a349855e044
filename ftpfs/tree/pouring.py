"""Copies of local streams: standard input, pipes, devices."""

from __future__ import annotations

from dataclasses import replace

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Kind
from ftpfs.tree.choices import Choices, Existing
from ftpfs.tree.events import Failed, Kept, quoted
from ftpfs.tree.local import LocalPlace
from ftpfs.tree.operands import Pair
from ftpfs.tree.stage import Stage, StoppedError
from ftpfs.tree.streams import StreamError, pour_in, stream


def is_stream(pair: Pair) -> bool:
    return isinstance(pair.source.place, LocalPlace) and pair.file.entry.kind is Kind.OTHER


def pour(pair: Pair, stage: Stage, choices: Choices) -> None:
    """Copy a stream, which is newer than anything that is there; how it went is told as an event.

    Raises StoppedError.
    """
    source, target, there = pair.source, pair.target, pair.file.there
    shown = quoted(target.shown)
    if there is not None and there.kind is Kind.DIRECTORY:
        stage.emit(Failed(f"cannot overwrite directory {shown} with non-directory"))
        return
    if there is not None and choices.existing is Existing.KEEP:
        stage.emit(Kept(pair.file))
        return
    try:
        with stream(source.path, stage) as read:
            pour_in(read, target._replace(path=pair.file.target), there, stage)
    except StoppedError:
        raise
    except StreamError as error:
        stage.emit(Failed(f"cannot read {quoted(source.shown)}", error))
    except FtpfsError as error:
        verb = "create regular file" if there is None else "write to"
        stage.emit(Failed(f"cannot {verb} {shown}", error))
    else:
        stage.copied(replace(pair.file, source=source.shown), source.place, target.place)
