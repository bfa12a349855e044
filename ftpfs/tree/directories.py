"""Makes directories, and removes empty ones."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ftpfs.errors import DeniedError, ExistsError, FtpfsError, NotDirectoryError
from ftpfs.remote.api import Kind
from ftpfs.tree.events import Failed, Made, Removed, quoted
from ftpfs.tree.place import Place, Spot, above
from ftpfs.tree.stage import Stage


def make(spots: Sequence[Spot], stage: Stage, *, parents: bool) -> None:
    """Make each; with `parents` those above it too, and what is there already is no failure."""
    for spot in spots:
        stage.check()
        if parents:
            _make_path(spot, stage)
            continue
        error = spot.place.mkdir_all([spot.path]).get(spot.path)
        _tell(spot, spot.path, error, stage)


def _make_path(spot: Spot, stage: Stage) -> None:
    """Tried from the end: what is wanted is mostly the last one, or nothing."""
    place = spot.place
    lacking = itertools.takewhile(
        lambda path: path != "/" and not is_directory(place, path),
        [spot.path, *above(spot.path)],
    )
    wanted = list(lacking)[::-1]
    failures = place.mkdir_all(wanted)
    for path in wanted:
        error = failures.get(path)
        if isinstance(error, ExistsError | DeniedError) and is_directory(place, path):
            continue  # made by somebody else meanwhile
        if error is not None:
            in_the_way = isinstance(error, ExistsError) and path != spot.path
            _tell(spot, path, NotDirectoryError(path) if in_the_way else error, stage)
            return
        _tell(spot, path, None, stage)


def _tell(spot: Spot, path: str, error: FtpfsError | None, stage: Stage) -> None:
    shown = spot.shown if path == spot.path else spot.place.shown(path)
    if error is None:
        stage.emit(Made("", shown))
    else:
        stage.emit(Failed(f"cannot create directory {quoted(shown)}", error))


def is_directory(place: Place, path: str) -> bool:
    try:
        return place.stat(path).kind is Kind.DIRECTORY
    except FtpfsError:
        return False


def remove_empty(spots: Sequence[Spot], stage: Stage, *, parents: bool) -> None:
    """Remove each, if it is empty; with `parents` then those above it, as far as `spot.top`."""
    for spot in spots:
        stage.check()
        paths = [spot.path]
        if parents:
            top = spot.top.rstrip("/") + "/"
            paths += [path for path in above(spot.path) if path.startswith(top) and path != top]
        for path in paths:
            shown = spot.shown if path == spot.path else spot.place.shown(path)
            error = spot.place.rmdir_all([path]).get(path)
            if error is not None:
                stage.emit(Failed(f"failed to remove {quoted(shown)}", error))
                break
            stage.emit(Removed(shown, directory=True))
