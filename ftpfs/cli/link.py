"""Opens servers: the one place that puts pool, profile and TLS together for a location."""

from __future__ import annotations

from ftpfs.config import MountOptions, TlsMode
from ftpfs.errors import UsageError
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.transport import Security, connect_tcp
from ftpfs.url import ANONYMOUS_PASSWORD, Location


class Link:
    """A server and the connections to it; nothing is sent before the first use."""

    def __init__(self, location: Location, options: MountOptions, connections: int) -> None:
        login = Login(
            location.host,
            location.port,
            location.user,
            ANONYMOUS_PASSWORD if location.password is None else location.password,
            options.timeout,
            location.tls,
        )
        security = security_of(location, options)
        profile = Profile(tls13=False if options.tls_max == "1.2" else None)
        self.pool = Pool(
            lambda: Session.open(login, profile, connect_tcp, security),
            connections,
            options.timeout,
        )
        self.remote = FtpRemote(self.pool, profile)

    def close(self) -> None:
        """Log out."""
        self.pool.close()


def security_of(location: Location, options: MountOptions) -> Security | None:
    """What puts TLS around connections; None for clear text.

    Raises UsageError for options that contradict each other, or cannot be kept in clear text.
    """
    given = (options.cafile, options.fingerprint, options.insecure, options.cert, options.key)
    if location.tls is TlsMode.NONE:
        if any(given):
            raise UsageError("options of TLS with a URL in clear text: use ftpes:// or ftps://")
        return None
    if sum(map(bool, given[:3])) > 1:
        raise UsageError("of -o cafile, -o fingerprint and -o insecure only one can be used")
    if options.key and not options.cert:
        raise UsageError("-o key needs -o cert, the certificate that belongs to it")
    from ftpfs.session.tls import Tls, Trust  # ssl takes 20 ms to load

    return Tls(Trust(*given))
