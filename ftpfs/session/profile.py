"""What is known of a server: learnt by trying, remembered for the mount, never believed.

Shared by all sessions of a mount and written without a lock: every verdict goes from unknown to
known once, each write is one reference, and two threads that find out at the same time find the
same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from ftpfs.wire.features import NO_FEATURES, Features


@dataclass
class Profile:
    """Verdicts; None means not tried yet."""

    features: Features = field(default=NO_FEATURES)
    features_asked: bool = False
    login_directory: str = "/"
    round_trip_s: float = math.inf  # the shortest answer so far
    tls13: bool | None = None  # True: data connections need not resume; False: TLS 1.2 it is
    epsv: bool | None = None
    grouping: bool | None = None  # several commands in one packet; False: one at a time
    mlsd: bool | None = None
    mlst: bool | None = None
    list_all: bool | None = None  # LIST -a shows dot files
    zone_s: int | None = None  # LIST shows times so far ahead of UTC; for this mount: summer ends
    rest: bool | None = None
    replaces: bool | None = None  # STOR to a temporary name, then RNTO onto the file
    patches: bool | None = None  # REST + STOR overwrites in place and cuts nothing off
    mfmt: bool | None = None
    mdtm_sets: bool | None = None  # MDTM with a time sets it (vsftpd, Serv-U)
    site_chmod: bool | None = None
    avbl: bool | None = None
