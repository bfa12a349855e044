"""Listings that are fetched before they are asked for, side by side, where the server is far."""

from __future__ import annotations

import threading
from collections import deque
from types import TracebackType

from ftpfs.errors import FtpfsError
from ftpfs.remote.api import Entry
from ftpfs.tree.place import Place

Listing = dict[str, Entry]


class Ahead:
    """A context manager for one thread; those that it starts end with it.

    `_changed` guards everything below it.
    """

    def __init__(self, place: Place, hands: int) -> None:
        self._place = place
        self._hands = 0 if place.near else hands
        self._changed = threading.Condition()
        self._wanted: deque[str] = deque()
        self._under_way: set[str] = set()
        self._fetched: dict[str, Listing | FtpfsError] = {}
        self._threads: list[threading.Thread] = []
        self._over = False

    def expect(self, paths: list[str]) -> None:
        """These will be asked for, in this order and before those that are expected by now."""
        if not self._hands:
            return
        with self._changed:
            self._wanted.extendleft(reversed(paths))
            self._changed.notify_all()
        while len(self._threads) < min(self._hands, len(paths)):
            name = f"list-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
            thread.start()

    def list(self, path: str) -> Listing:
        """The listing of a directory. Raises what listing it raised."""
        with self._changed:
            if path in self._wanted:
                self._wanted.remove(path)
            while path in self._under_way:
                self._changed.wait()
            found = self._fetched.pop(path, None)
        if found is None:
            return self._place.list(path)
        if isinstance(found, FtpfsError):
            raise found
        return found

    def _work(self) -> None:
        while True:
            with self._changed:
                while not self._wanted and not self._over:
                    self._changed.wait()
                if self._over:
                    return
                path = self._wanted.popleft()
                self._under_way.add(path)
            found: Listing | FtpfsError | None = None
            try:
                found = self._place.list(path)
            except FtpfsError as error:
                found = error
            finally:
                with self._changed:
                    self._under_way.discard(path)
                    if found is not None:
                        self._fetched[path] = found
                    self._changed.notify_all()

    def __enter__(self) -> Ahead:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with self._changed:
            self._over = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()
