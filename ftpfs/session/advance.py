"""The port of a session's next transfer, asked for before there is one: one round trip less."""

from __future__ import annotations

from collections.abc import Callable

from ftpfs.config import ARMED_S
from ftpfs.session.data import Opening, Way
from ftpfs.session.profile import Profile
from ftpfs.wire.command import answers
from ftpfs.wire.reply import Reply


class Advance:
    """At most one port; used by the thread that has the session.

    The question may be on its way (`owed`): its answer is collected before anything else is sent.
    """

    def __init__(self, way: Way, profile: Profile, clock: Callable[[], float]) -> None:
        self._way = way
        self._profile = profile
        self._clock = clock
        self._kept: tuple[Opening, float] | None = None  # and until when to use it
        self.owed = False

    @property
    def possible(self) -> bool:
        """Whether a port may be asked for together with other commands."""
        return bool(self._profile.grouping) and self._way.in_advance

    def answered(self, reply: Reply) -> None:
        """This says whether there is one. Raises what `Way.agreed` does."""
        self.owed = False
        if reply.ok:
            self._kept = (self._way.agreed(reply), self._clock() + ARMED_S)

    def take(self) -> Opening | None:
        """What waits for a data connection, unless it has waited too long."""
        kept, self._kept = self._kept, None
        return kept[0] if kept is not None and self._clock() < kept[1] else None

    def is_answer(self, reply: Reply) -> bool:
        """Whether this may be what is owed."""
        return self.owed and answers(self._way.verb, reply.code)

    def has_timed_out(self, reply: Reply) -> bool:
        """Whether this says that a port was not used in time: pyftpdlib's 421, after 30 s, which
        does not close the connection."""
        return self._kept is not None and reply.code == 421 and "data channel" in reply.text.lower()
