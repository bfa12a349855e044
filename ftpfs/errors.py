"""The exceptions of every layer.

None of them is an OSError: an error that reaches the FUSE binding untranslated is loud, and a
socket's errno can never be taken for a file's. `fuse/errnos.py` holds the one table that turns
them into an errno.
"""

from __future__ import annotations


class FtpfsError(Exception):
    """What every exception of ftpfs derives from. Its text is one line, fit for a user."""


# -- misuse on this side ------------------------------------------------------------------------


class UsageError(FtpfsError):
    """A command line, URL, option or mount point that cannot be used as given."""


class MountError(FtpfsError):
    """The mount could not be made."""


class HostError(MountError):
    """This machine lacks what a mount needs: /dev/fuse, libfuse, fusermount3."""


class NameRefusedError(FtpfsError):
    """A name that FTP cannot carry: it holds CR, LF or NUL."""


class InvalidError(FtpfsError):
    """An argument that no file system accepts: a negative offset, unknown rename flags."""


class BadHandleError(FtpfsError):
    """A read or write through a handle that was not opened for it."""


class LocalError(FtpfsError):
    """The local disk refused, for a reason that servers have no word for."""


class JournalError(FtpfsError):
    """The journal of unsent files cannot be read or written."""


# -- the network ----------------------------------------------------------------------------------


class NetworkError(FtpfsError):
    """The server could not be reached, or the connection was lost."""


class DeadlineError(NetworkError):
    """A step took longer than its deadline."""


class LearntError(NetworkError):
    """What was learnt of the server by this failure makes it worth to try again: on a new
    connection it will be spoken to in another way."""


class OutOfStepError(LearntError):
    """Replies that do not fit the commands that were sent together; the connection is of no use
    any more, and the server gets one command at a time from now on."""


class SilentError(LearntError):
    """Data connections by EPSV come about and nothing comes over them; PASV is next."""


class ClosingError(NetworkError):
    """The server says that it closes the connection (421, and vsftpd's 500 OOPS)."""


class UnreachableError(NetworkError):
    """No connection could be opened: unknown host, refused, no route."""


class ConnectionLimitError(NetworkError):
    """The server refused one more connection (421, or 530 that speaks of too many)."""


class TlsError(NetworkError):
    """No protected connection could be agreed on. Nothing goes over in clear text instead."""


class TlsVersionError(TlsError, LearntError):
    """The server refuses data connections under TLS 1.3; it gets TLS 1.2 from now on."""


class CertificateError(TlsError):
    """The server's certificate is not to be trusted.

    `fingerprint`: its SHA-256, 64 hex digits, where it is known. `unknown_issuer`: nothing else is
    wrong than who signed it.
    """

    def __init__(self, text: str, fingerprint: str = "", *, unknown_issuer: bool = False) -> None:
        super().__init__(text)
        self.fingerprint = fingerprint
        self.unknown_issuer = unknown_issuer


# -- the server -----------------------------------------------------------------------------------


class ProtocolError(FtpfsError):
    """The server said something that is not FTP."""


class DirectoryTooLargeError(FtpfsError):
    """The server lists more names than there is room for (LISTING_LINES, LISTING_BYTES)."""


class LoginError(FtpfsError):
    """The server refused the user or the password."""


class TransferError(FtpfsError):
    """A transfer ended in a way that leaves the bytes in doubt."""


class BrokenOffError(TransferError, NetworkError):
    """The server broke off a download that had begun (425, 426); another one may go on there."""


class ChangedError(TransferError):
    """The server's file is not the one that was opened."""


class RefusedError(FtpfsError):
    """A negative reply without a clearer meaning."""


class AbsentError(RefusedError):
    """No such file or directory."""


class ExistsError(RefusedError):
    """The name is taken."""


class DeniedError(RefusedError):
    """The server does not allow it."""


class InvalidNameError(RefusedError):
    """A name that the server does not take, or keeps in another spelling."""


class NameTooLongError(InvalidNameError):
    """A name or path longer than the server takes."""


class CrossDeviceError(RefusedError):
    """A rename from one file system of the server to another."""


class NotEmptyError(RefusedError):
    """The directory is not empty."""


class IsDirectoryError(RefusedError):
    """A directory where a file was needed."""


class NotDirectoryError(RefusedError):
    """A file where a directory was needed."""


class NoSpaceError(RefusedError):
    """The server's disk, or the local one that holds the spool, is full."""


class QuotaError(RefusedError):
    """The user's allocation on the server is used up (552)."""


class PassingError(RefusedError):
    """The server could not do it this time (425, 426)."""


class BusyError(PassingError):
    """The server cannot do it right now (450)."""


class UnsupportedError(RefusedError):
    """The server does not know the command (500, 502, 504), or FTP has none for this."""


class NotPermittedError(FtpfsError):
    """FTP has no way to do this: links, devices, another owner."""


class ReadOnlyError(FtpfsError):
    """The mount is read-only."""
