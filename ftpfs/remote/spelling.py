"""Whether a server keeps an unusual name as it is.

Pure-FTPd stores a blank at the end, or a tab, as `_`; Windows drops blanks and dots at the end.
The file would be there under another name, or on top of another file. So before the first name
of each odd kind is made on a mount, it is tried in a directory of our own, and the verdict is
kept. Ordinary names cost nothing.

Shared by all threads; state only in the Profile.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from ftpfs.errors import InvalidNameError
from ftpfs.session.connection import Session
from ftpfs.session.profile import Profile
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.entry import Entry
from ftpfs.wire.pathname import oddities, split

log = logging.getLogger(__name__)

ListDirectory = Callable[[Session, str], dict[str, Entry]]


class Spelling:
    """Tries names on one server. `list_directory` takes a server path and raises ReplyError."""

    def __init__(self, profile: Profile, list_directory: ListDirectory) -> None:
        self._profile = profile
        self._list = list_directory

    def unknown(self, name: str) -> bool:
        """Whether there is something to learn before `check`."""
        return any(odd not in self._profile.keeps for odd in oddities(name))

    def check(self, path: str, name: str) -> None:
        """Raises InvalidNameError where the server is known to store `name` as another one."""
        for odd in oddities(name):
            if self._profile.keeps.get(odd) is False:
                raise InvalidNameError(f"{path}: the server would change {odd} of the name")

    def learn(self, session: Session, scratch: str, name: str) -> None:
        """Try what is odd about `name` in a directory of our own, `scratch`, a server path.

        Nothing is learnt where no directory can be made there.
        """
        parent, place = split(scratch)
        samples = {o: s for o, s in oddities(name).items() if o not in self._profile.keeps}
        try:
            session.enter(parent)
        except ReplyError:
            return  # what is to be made there will say why
        if session.command("MKD", f"./{place}").ok:
            self._try(session, scratch, samples)

    def _try(self, session: Session, scratch: str, samples: dict[str, str]) -> None:
        """Make a directory of each sample name, and see what is listed. What is refused is not
        changed: the server will say so of the real name, too."""
        parent, place = split(scratch)
        made = {odd for odd in samples if session.command("MKD", f"./{place}/{samples[odd]}").ok}
        found: dict[str, Entry] = {}
        try:
            found = self._list(session, scratch)
            kept = {odd: odd not in made or found_as in found for odd, found_as in samples.items()}
            self._profile.learn_names(kept)
            session.enter(parent)  # some do not remove the directory that one is in
        except ReplyError as error:
            log.debug("names could not be tried: %s", error)
        for name in found:
            session.command("RMD", f"./{place}/{name}")
        if not session.command("RMD", f"./{place}").ok:
            log.warning("%s: a directory of ftpfs may be left on the server", scratch)
