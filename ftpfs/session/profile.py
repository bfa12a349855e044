"""What is known of a server: learnt by trying, remembered for the mount, never believed.

Shared by all sessions of a mount and written without a lock: every verdict goes from unknown to
known once, each write is one reference, and two threads that find out at the same time find the
same.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ftpfs.wire.features import NO_FEATURES, Features


@dataclass
class Profile:
    """Verdicts; None means not tried yet."""

    encoding: str = "utf-8"  # of names, in commands, replies and listings; not learnt, an option
    telnet: bool | None = None  # takes telnet commands out of its input: a byte 255 is doubled
    keeps: dict[str, bool] = field(default_factory=dict)  # an oddity of names: stored as it is
    features: Features = field(default=NO_FEATURES)
    features_asked: bool = False
    login_directory: str = "/"
    tls13: bool | None = None  # True: data connections need not resume; False: TLS 1.2 it is
    epsv: bool | None = None
    grouping: bool | None = None  # several commands in one packet; False: one at a time
    mlsd: bool | None = None
    mlst: bool | None = None
    list_all: bool | None = None  # LIST -a shows dot files
    rest: bool | None = None
    replaces: bool | None = None  # STOR to a temporary name, then RNTO onto the file
    appends: bool | None = None  # APPE; False where it is not known
    patches: bool | None = None  # REST + STOR overwrites in place and cuts nothing off
    mfmt: bool | None = None
    mdtm_sets: bool | None = None  # MDTM with a time sets it (vsftpd, Serv-U)
    mff: bool | None = None  # MFF UNIX.mode sets permission bits
    site_chmod: bool | None = None
    avbl: bool | None = None
