"""Certificates for the tests: of servers on this machine, good and bad, and of a client.

    certificates = Certificates(directory)
    server uses certificates.good; client trusts certificates.cafile

All are PEM files, those of a server with key and chain in one.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import ssl
from collections.abc import Callable
from functools import cached_property

import trustme

# RSA, as vsftpd's own choice of ciphers for TLS 1.2 knows nothing else.
_RSA = trustme.KeyType.RSA
_HERE = ("localhost", "127.0.0.1", "127.0.0.2", "::1")
_DAY = datetime.timedelta(days=1)


class Certificates:
    """Made when they are first asked for."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._authority = trustme.CA(key_type=_RSA)

    @cached_property
    def cafile(self) -> str:
        return self._file("ca.pem", self._authority.cert_pem.write_to_path)

    @cached_property
    def good(self) -> str:
        return self._leaf("good.pem", *_HERE)

    @cached_property
    def expired(self) -> str:
        yesterday = datetime.datetime.now(datetime.UTC) - _DAY
        return self._leaf("expired.pem", *_HERE, not_before=yesterday - _DAY, not_after=yesterday)

    @cached_property
    def early(self) -> str:
        tomorrow = datetime.datetime.now(datetime.UTC) + _DAY
        return self._leaf("early.pem", *_HERE, not_before=tomorrow, not_after=tomorrow + _DAY)

    @cached_property
    def elsewhere(self) -> str:
        """For another host."""
        return self._leaf("elsewhere.pem", "ftp.example.org", "192.0.2.1")

    @cached_property
    def self_signed(self) -> str:
        own = trustme.CA(key_type=_RSA)

        def write(path: str) -> None:
            own.private_key_pem.write_to_path(path)
            own.cert_pem.write_to_path(path, append=True)

        return self._file("self_signed.pem", write)

    @cached_property
    def client(self) -> str:
        return self._leaf("client.pem", "joe@example.org")

    def _leaf(
        self,
        name: str,
        *identities: str,
        not_before: datetime.datetime | None = None,
        not_after: datetime.datetime | None = None,
    ) -> str:
        leaf = self._authority.issue_cert(
            *identities, key_type=_RSA, not_before=not_before, not_after=not_after
        )
        return self._file(name, leaf.private_key_and_cert_chain_pem.write_to_path)

    def _file(self, name: str, write: Callable[[str], None]) -> str:
        path = os.path.join(self._directory, name)
        write(path)
        return path


def fingerprint(path: str) -> str:
    """SHA-256 of the first certificate in a PEM file, 64 hex digits."""
    with open(path, encoding="ascii") as file:
        text = file.read()
    begin, end = text.index(ssl.PEM_HEADER), text.index(ssl.PEM_FOOTER)
    der = ssl.PEM_cert_to_DER_cert(text[begin : end + len(ssl.PEM_FOOTER)])
    return hashlib.sha256(der).hexdigest()
