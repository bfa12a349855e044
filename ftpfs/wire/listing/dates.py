"""The dates of `ls` in all their spellings.

A spelling is one expression with its fields as named groups. All of them together, without the
names, are what the expression of a whole line looks for; `read_date` then tells them apart. Those
of GNU ls are in its translations, under `%b %e  %Y` and `%b %e %H:%M`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from ftpfs.wire import lazily
from ftpfs.wire.listing.clock import UNKNOWN, Clock, Time, full_year
from ftpfs.wire.listing.months import MONTHS, month_number

# With complete columns any word can pass for a month, also one of an unknown language or in a
# wrong encoding: a file without its time is better than no file.
_ANY_WORD = r"[^ 0-9]{2,14}"

# Without them it must be a known one, or `1 root 12 2048` would be a date.
_LONGEST_FIRST = sorted(MONTHS, key=len, reverse=True)
_KNOWN_WORD = "(?=[^ 0-9])(?:" + "|".join(map(re.escape, _LONGEST_FIRST)) + ")[.,]{0,2}"

_DAY = r"(?P<day>[0-9]{1,2})"
_MONTH = r"(?P<month>[0-9]{1,2})"
_YEAR = r"(?P<year>[0-9]{4})"
_CLOCK = r"(?P<clock>[0-9]{1,2}[:.][0-9]{2})"
_SECONDS = r"(?::[0-9]{2})?"
# The signs for year, month and day behind the numbers, in whatever encoding.
_ANY_SIGN = r"[^ -~]{1,3}"
_KNOWN_SIGN = "[年月日년월일]"


def _of_words(word: str) -> tuple[str, ...]:
    word = rf"(?:de |d\u2019)?(?P<word>{word})"  # Catalan: `22 de nov.`
    return (
        rf"{word} {{1,4}}{_DAY}, {_YEAR} {_CLOCK}",  # VShell
        rf"{word} {{1,4}}{_DAY} {{1,4}}{_CLOCK}:[0-9]{{2}} {_YEAR}",  # BSD's ls -T
        rf"{word} {{1,4}}{_DAY}[.,]? {{1,4}}(?:{_CLOCK}{_SECONDS}|{_YEAR})",
        # Czech has a no-break space, Serbian an `u` ahead of the clock, in Cyrillic.
        rf"{_DAY}\.?[ \xa0]{{1,4}}{word} {{1,4}}(?:(?:\u0443 )?{_CLOCK}|{_YEAR}\.?)",
    )


_OF_YEARS = (
    rf"{_YEAR}[-/.]{_MONTH}[-/.]{_DAY}(?: {{1,4}}{_CLOCK}{_SECONDS})?",
    rf"{_DAY}[-/.]{_MONTH}[-/.]{_YEAR}(?: {{1,4}}{_CLOCK}{_SECONDS})?",
    rf"{_DAY}-(?P<word>[A-Za-z]{{3}})-(?P<year>[0-9]{{2,4}})(?: {{1,4}}{_CLOCK})?",
)


def _of_signs(sign: str) -> tuple[str, ...]:
    return (
        rf"{_YEAR}(?:{sign})? {{0,4}}{_MONTH}{sign} {{0,3}}{_DAY}(?:{sign})?",
        rf"{_MONTH}{sign} {{0,3}}{_DAY}(?:{sign})? {{1,4}}(?:{_CLOCK}|{_YEAR}[^ 0-9]{{0,3}})",
    )


_OF_NUMBERS = (
    rf"{_DAY}\. ?{_MONTH}\. {{1,4}}(?:{_CLOCK}|{_YEAR})",  # Finnish
    rf"{_MONTH}-{_DAY} {{1,4}}(?:{_CLOCK}|{_YEAR})",  # Polish, and --time-style=iso
    rf"{_MONTH} {{1,4}}{_DAY} {{1,4}}{_CLOCK}",
)

_OF_FEW = (
    # Basque and Hungarian. `2024 Nov 22 17:37` is a size and a date.
    rf"{_YEAR} {{1,2}}(?P<word>{_ANY_WORD}) {{1,4}}{_DAY}(?! {{1,2}}[0-9]{{1,2}}[:.]?[0-9]{{2}} )",
    rf"{_CLOCK} {{1,2}}{_DAY} Thg {_MONTH}",  # Vietnamese
    rf"{_DAY} Thg {_MONTH} {{1,3}}{_YEAR}",
)


def _together(forms: tuple[str, ...]) -> str:
    return "(?P<date>" + re.sub(r"\?P<\w+>", "?:", "|".join(forms)) + ")"


_FORMS = _of_signs(_ANY_SIGN) + _of_words(_ANY_WORD) + _OF_YEARS + _OF_NUMBERS + _OF_FEW

ANY_DATE = _together(_FORMS)
"""One group `date`: for a line whose columns all stand where they should."""

CERTAIN_DATE = _together(_of_signs(_KNOWN_SIGN) + _of_words(_KNOWN_WORD) + _OF_YEARS)
"""One group `date`: what is a date wherever it is found. Case is to be ignored."""

_READERS = [lazily.fullmatch(form, re.DOTALL) for form in _FORMS]

# German and others that put a single blank ahead of the year put one more behind it, to reach the
# width of a clock time; so have some servers of their own. Bulgarian and Indonesian do not, and a
# blank that begins a name there is lost.
_narrow_year = lazily.fullmatch(r"[^:]*[^ :] [0-9]{4}")
_date_alone = lazily.fullmatch(r"[0-9]{4}[-/.][0-9]{1,2}[-/.][0-9]{1,2}")
_short_last_month = lazily.fullmatch(r".* Thg [0-9]")


@lru_cache(maxsize=4096)  # the files of one directory share their dates
def read_date(text: str, clock: Clock) -> Time:
    """The time that one of the spellings stands for; UNKNOWN for a month of no known language."""
    for match in _READERS:
        if found := match(text):
            return time_of(found.groupdict(), clock)
    return UNKNOWN


def time_of(fields: Mapping[str, str | None], clock: Clock) -> Time:
    """The time of the fields `year`, `month` or `word`, `day` and `clock`, none of them sure."""
    month = int(fields.get("month") or month_number(fields.get("word") or ""))
    day = int(fields["day"] or 0)
    year, hours = fields.get("year"), fields.get("clock")
    if hours is None:
        return clock.day(_full(year or ""), month, day)
    hour, minute = map(int, re.split("[:.]", hours))
    if year is None:
        return clock.yearless(month, day, hour, minute)
    return clock.minute(_full(year), month, day, hour, minute)


def _full(year: str) -> int:
    return int(year) if len(year) == 4 else full_year(int(year or 0))


def without_padding(date: str, name: str) -> str:
    """The name without the blanks that belong to the column of `date`."""
    if name[:1] != " ":
        return name
    if _narrow_year(date) or _short_last_month(date):
        return name[1:] or name
    return (name.lstrip(" ") or name) if _date_alone(date) else name
