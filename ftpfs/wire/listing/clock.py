"""From what a listing's clock shows to UTC."""

from __future__ import annotations

from typing import NamedTuple

from ftpfs.wire.timeval import SECOND_NS, UNKNOWN_S, guess_year_ns, utc_ns

MINUTE_S = 60
DAY_S = 86_400

_QUARTER_S = 15 * MINUTE_S
_ZONES_S = range(-12 * 3_600, 14 * 3_600 + 1)

Time = tuple[int, int]
"""Nanoseconds since the epoch, UTC, and the precision in seconds: as in Entry."""

UNKNOWN: Time = (0, UNKNOWN_S)


class Clock(NamedTuple):
    """What is known of the server's clock while one listing is read.

    `now_ns` is the time here, UTC, and `zone_s` how far the server's listings are ahead of UTC.
    A date or clock time that there is not gives UNKNOWN: a console without a clock lists
    `Jan 00`.
    """

    now_ns: int
    zone_s: int = 0

    @property
    def tomorrow_ns(self) -> int:
        """No file can be later than that, UTC: servers' clocks are wrong by less than a day."""
        return self.now_ns + DAY_S * SECOND_NS

    def day(self, year: int, month: int, day: int) -> Time:
        """A date without a clock time: some moment of that day."""
        try:
            return utc_ns(year, month, day) - self.zone_s * SECOND_NS, DAY_S
        except ValueError:
            return UNKNOWN

    def minute(self, year: int, month: int, day: int, hour: int, minute: int) -> Time:
        """A date with a clock time.

        Seconds that a server lists are left out: a zone learnt from minutes does not make them
        what MDTM says, and only that is taken for exact.
        """
        try:
            return utc_ns(year, month, day, hour, minute) - self.zone_s * SECOND_NS, MINUTE_S
        except ValueError:
            return UNKNOWN

    def yearless(self, month: int, day: int, hour: int, minute: int) -> Time:
        """A clock time without a year: the latest that is no more than a day ahead."""
        zone_ns = self.zone_s * SECOND_NS
        try:
            time_ns = guess_year_ns(month, day, hour, minute, self.now_ns + zone_ns)
        except ValueError:
            return UNKNOWN
        return time_ns - zone_ns, MINUTE_S


def zone_between(listed_ns: int, exact_ns: int) -> int | None:
    """How far a server's listings are ahead of UTC, in seconds.

    From one file's time as LIST shows it, to the minute, and as MDTM tells it, in UTC. None where
    the difference is no zone on earth: the file has changed in between, or a clock is broken.
    """
    ahead_s = (listed_ns - exact_ns) // SECOND_NS
    zone_s = round(ahead_s / _QUARTER_S) * _QUARTER_S
    if abs(ahead_s - zone_s) > MINUTE_S or zone_s not in _ZONES_S:
        return None
    return zone_s


def full_year(year: int) -> int:
    """Two digits: 1970 to 2069. Three are the years since 1900 of a server never mended."""
    if year < 70:
        return 2000 + year
    return 1900 + year if year < 1000 else year
