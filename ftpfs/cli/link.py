"""What a server takes: from a location and options to connections that are logged in.

The one place that picks the concrete classes of a session. What only some servers need, TLS or a
proxy, is loaded for these.
"""

from __future__ import annotations

import os

from ftpfs.cli.xdg import cache_directory
from ftpfs.errors import UsageError
from ftpfs.options import WITHOUT, MountOptions, TlsMode
from ftpfs.remote.ftp import FtpRemote
from ftpfs.session.connection import Session
from ftpfs.session.login import Login
from ftpfs.session.pool import Pool
from ftpfs.session.profile import Profile
from ftpfs.session.transport import Connect, Security, connect_tcp
from ftpfs.session.verdicts import VerdictFile
from ftpfs.url import ANONYMOUS_PASSWORD, Location


class Link:
    """A server, at most so many connections to it, and what is known of it; nothing is sent before
    the first use. Raises UsageError for options that contradict each other."""

    def __init__(self, location: Location, options: MountOptions, connections: int) -> None:
        login, security = login_of(location, options), security_of(location, options)
        connect = connect_of(options)
        self.profile = profile_of(options)
        self._verdicts = verdict_file(location)
        self._verdicts.load(self.profile)
        self.pool = Pool(
            lambda: Session.open(login, self.profile, connect, security),
            min(connections, self.profile.connection_limit or connections),
            options.timeout,
            most=connections,
        )
        self._connections = connections
        self._limit = self.pool.limit  # when it was last looked at
        self.remote = FtpRemote(self.pool, self.profile)

    def keep_verdicts(self) -> None:
        """Write down, for the next mount or command, what was learnt of the server."""
        if (limit := self.pool.limit) != self._limit:
            self._limit = limit
            self.profile.connection_limit = limit if limit < self._connections else None
        self._verdicts.save(self.profile)

    def close(self) -> None:
        """Log out."""
        self.keep_verdicts()
        self.pool.close()


def login_of(location: Location, options: MountOptions) -> Login:
    """Where to log in, and as whom."""
    return Login(
        location.host,
        location.port,
        location.user,
        ANONYMOUS_PASSWORD if location.password is None else location.password,
        options.timeout,
        location.tls,
        active=options.active,
        obey_pasv=options.pasv_address == "server",
    )


def profile_of(options: MountOptions) -> Profile:
    """A profile that knows what the options say, and nothing else."""
    profile = Profile(encoding=options.encoding)
    if options.tls_max == "1.2":
        profile.fix(tls13=False)
    if options.pasv_address == "server":
        profile.fix(epsv=False)  # EPSV tells no address
    for word in options.without:
        profile.fix(**dict.fromkeys(WITHOUT[word], False))
    return profile


def verdict_file(location: Location) -> VerdictFile:
    """Where the verdicts on a server are kept between mounts: whatever the directory mounted."""
    directory = os.path.join(cache_directory(), "servers")
    return VerdictFile(directory, str(location._replace(path="")))


def connect_of(options: MountOptions) -> Connect:
    """What opens connections. Raises UsageError."""
    if options.proxy is None:
        return connect_tcp
    if options.active:
        raise UsageError("-o active and -o proxy: no server can connect to us through a proxy")
    from ftpfs.session.proxy import through

    return through(options.proxy)


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
