"""Listings: bytes of a data connection to entries.

LIST has no standard. Each dialect is a module with a parser of its lines; `dialects` finds the
one that fits and `reader` feeds it. The lines themselves are in tests/data/listings.
"""

from __future__ import annotations

from ftpfs.wire.listing.clock import Clock
from ftpfs.wire.listing.dialects import ListParser
from ftpfs.wire.listing.reader import ListingReader

__all__ = ["Clock", "ListParser", "ListingReader"]
