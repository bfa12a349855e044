"""What is known of a server: learnt by trying, never believed.

Shared by all sessions of a mount and written without a lock: every verdict goes from unknown to
known once, each write is one reference, and two threads that find out at the same time find the
same.

A verdict that an earlier mount found out (`believe`) is acted upon and still in doubt: until this
mount has seen the same, it is given up as easily as if it were unknown (`unproven`). One that an
option decides (`fix`) is not learnt at all.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable
from typing import Any

from ftpfs.wire.features import NO_FEATURES, Features

log = logging.getLogger(__name__)

Verdict = bool | float | None

_NAMES = """
    tls13 epsv eprt idle_s grouping mlsd mlst list_all zone_s rest replaces patches
    mfmt mdtm_sets site_utime site_chmod mff appends avbl telnet connection_limit
"""
VERDICTS = frozenset(_NAMES.split())
"""The fields of a Profile that are found out by trying."""


class Profile:
    """Verdicts; None means not tried yet."""

    fixed: frozenset[str] = frozenset()  # verdicts that an option has decided
    encoding: str = "utf-8"  # of names, in commands, replies and listings; not learnt, an option
    telnet: bool | None = None  # takes telnet commands out of its input: a byte 255 is doubled
    features: Features = NO_FEATURES
    features_asked: bool = False
    features_before: frozenset[str] | None = None  # names, when the believed verdicts were learnt
    login_directory: str = "/"
    round_trip_s: float = math.inf  # the shortest answer so far
    few_ports: bool = False  # it has run out of ports for data connections: none is asked for early
    tls13: bool | None = None  # True: data connections need not resume; False: TLS 1.2 it is
    tls13_resumes: bool = False  # a data connection has resumed the session under it
    epsv: bool | None = None  # True: a data connection was opened by it; False: PASV, over IPv4
    epsv_on_trial: bool = False  # a connection has come about by it, and nothing over one so far
    eprt: bool | None = None  # the same of active mode; False: PORT
    idle_s: float | None = None  # the server closes connections that are idle for so long
    grouping: bool | None = None  # several commands in one packet; False: one at a time
    mlsd: bool | None = None
    mlst: bool | None = None
    list_all: bool | None = None  # LIST -a shows dot files
    zone_s: int | None = None  # LIST shows times so far ahead of UTC; for this mount: summer ends
    rest: bool | None = None
    replaces: bool | None = None  # STOR to a temporary name, then RNTO onto the file
    appends: bool | None = None  # APPE; False where it is not known
    patches: bool | None = None  # REST + STOR overwrites in place and cuts nothing off
    mfmt: bool | None = None
    mdtm_sets: bool | None = None  # MDTM with a time sets it (vsftpd, Serv-U)
    site_utime: bool | None = None
    mff: bool | None = None  # MFF UNIX.mode sets permission bits
    site_chmod: bool | None = None
    avbl: bool | None = None
    connection_limit: int | None = None  # fewer connections than were asked for

    def __init__(self, now_s: Callable[[], float] = time.time, **known: Any) -> None:
        """`now_s`: seconds since the epoch; `known`: what is there of the rest already."""
        self.now_s = now_s
        self.learnt_s: dict[str, float] = {}  # verdict -> time of the last trial
        self.believed: set[str] = set()  # verdicts of an earlier mount, not seen here
        self.keeps: dict[str, bool] = {}  # a kind of odd names: stored as they are
        for name, value in known.items():
            if not hasattr(Profile, name):
                raise TypeError(f"nothing is known as {name}")
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        """A verdict that is set was found out just now, unless an option has decided it."""
        if name in VERDICTS and value is not None:
            if name in self.fixed:
                return
            self.learnt_s[name] = self.now_s()
            self.believed.discard(name)
        super().__setattr__(name, value)

    def unproven(self, name: str) -> bool:
        """Whether a verdict is unknown, or known from an earlier mount only."""
        return getattr(self, name) is None or name in self.believed

    def believe(self, name: str, value: Verdict, learnt_s: float) -> None:
        """Take over what an earlier mount found out at that time, where nothing is known yet."""
        if getattr(self, name) is None:
            setattr(self, name, value)
            self.learnt_s[name] = learnt_s
            self.believed.add(name)

    def learn_names(self, verdicts: dict[str, bool]) -> None:
        """Whether names of these kinds are stored as they are, found out just now."""
        self.keeps.update(verdicts)
        self.learnt_s |= dict.fromkeys(verdicts, self.now_s())

    def believe_name(self, kind: str, kept: bool, learnt_s: float) -> None:
        """The same of one kind, found out by an earlier mount at that time."""
        if kind not in self.keeps:
            self.keeps[kind], self.learnt_s[kind] = kept, learnt_s
            self.believed.add(kind)

    def fix(self, **verdicts: bool) -> None:
        """What an option says counts, whatever the server does."""
        for name, value in verdicts.items():
            setattr(self, name, value)
        self.fixed |= verdicts.keys()

    def meet(self, features: Features) -> None:
        """The server's FEAT: another one than before is another server, or another version."""
        self.features, self.features_asked = features, True
        if self.believed and features.names != self.features_before:
            log.info("the server has changed: what was known of it is found out anew")
            for name in list(self.believed):
                if name in VERDICTS:
                    setattr(self, name, None)
                self.keeps.pop(name, None)
                self.believed.discard(name)
                self.learnt_s.pop(name, None)
