"""What an examination of a server has found. Values only."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Whether a server can do one thing. `verdict` None: not tried, or the trial told nothing."""

    name: str  # "MLSD"
    verdict: bool | None
    detail: str = ""  # a few words for a person
    seconds: float | None = None  # what the trial took


@dataclass(frozen=True)
class Timing:
    """How long a step takes, in seconds; `rate` is bytes a second, where bytes went over."""

    name: str
    seconds: float
    rate: float | None = None


@dataclass(frozen=True)
class Protection:
    """The TLS of a connection. `resumed`: data connections take up its session; None: unseen."""

    version: str  # TLSv1.3
    cipher: str
    fingerprint: str  # of the server's certificate: SHA-256, 64 hex digits
    resumed: bool | None


@dataclass(frozen=True)
class Report:
    """`left_behind`: what could not be removed from the server, "" in general."""

    system: str  # the answer to SYST
    features: tuple[str, ...]
    directory: str  # the server path that was examined
    protection: Protection | None
    timings: tuple[Timing, ...]
    findings: tuple[Finding, ...]
    limits: tuple[str, ...]  # what will not work on a mount: sentences
    left_behind: str = ""
