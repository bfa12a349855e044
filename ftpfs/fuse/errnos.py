"""The one table that turns exceptions into errno."""

from __future__ import annotations

import errno

from ftpfs import errors

ERRNO: dict[type[errors.FtpfsError], int] = {
    errors.FtpfsError: errno.EIO,
    errors.UsageError: errno.EINVAL,
    errors.MountError: errno.EIO,
    errors.HostError: errno.EIO,
    errors.NameRefusedError: errno.EINVAL,
    errors.InvalidError: errno.EINVAL,
    errors.BadHandleError: errno.EBADF,
    errors.LocalError: errno.EIO,
    errors.JournalError: errno.EIO,
    errors.NetworkError: errno.EIO,
    errors.DeadlineError: errno.ETIMEDOUT,
    errors.LearntError: errno.EIO,
    errors.OutOfStepError: errno.EIO,
    errors.SilentError: errno.ETIMEDOUT,
    errors.ClosingError: errno.EIO,
    errors.UnreachableError: errno.EHOSTUNREACH,
    errors.ConnectionLimitError: errno.EAGAIN,
    errors.TlsError: errno.EPROTO,
    errors.TlsVersionError: errno.EPROTO,
    errors.CertificateError: errno.EPROTO,
    errors.ProtocolError: errno.EPROTO,
    errors.DirectoryTooLargeError: errno.EFBIG,
    errors.LoginError: errno.EACCES,
    errors.TransferError: errno.EIO,
    errors.BrokenOffError: errno.EIO,
    errors.ChangedError: errno.EIO,
    errors.RefusedError: errno.EIO,
    errors.AbsentError: errno.ENOENT,
    errors.ExistsError: errno.EEXIST,
    errors.DeniedError: errno.EACCES,
    errors.InvalidNameError: errno.EINVAL,
    errors.NameTooLongError: errno.ENAMETOOLONG,
    errors.CrossDeviceError: errno.EXDEV,
    errors.NotEmptyError: errno.ENOTEMPTY,
    errors.IsDirectoryError: errno.EISDIR,
    errors.NotDirectoryError: errno.ENOTDIR,
    errors.NoSpaceError: errno.ENOSPC,
    errors.QuotaError: errno.EDQUOT,
    errors.PassingError: errno.EIO,
    errors.BusyError: errno.EBUSY,
    errors.UnsupportedError: errno.EOPNOTSUPP,
    errors.NotPermittedError: errno.EPERM,
    errors.ReadOnlyError: errno.EROFS,
}

UNEXPECTED = errno.EIO
"""What a program sees when ftpfs itself has a defect; the log has the traceback."""

NOT_CONNECTED = (errno.ENOTCONN, errno.ECONNABORTED)
"""What stat gives on a mount whose process is gone, and while it is going."""


def errno_of(error: errors.FtpfsError) -> int:
    """The errno of an exception: its own, or that of the nearest class it derives from."""
    return next(ERRNO[kind] for kind in type(error).__mro__ if kind in ERRNO)


def is_not_connected(error: OSError) -> bool:
    """Whether a local call failed because a mount's process is gone."""
    return error.errno in NOT_CONNECTED


def is_routine(error: errors.FtpfsError) -> bool:
    """Whether programs meet this error in the normal course of things: not worth a log line."""
    return isinstance(error, errors.AbsentError | errors.ExistsError | errors.NotPermittedError)
