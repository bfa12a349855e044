from __future__ import annotations

import errno
import inspect

import pytest

from ftpfs import errors
from ftpfs.fuse.errnos import ERRNO, errno_of, is_not_connected, is_routine
from ftpfs.session.transfer import ReplyError
from ftpfs.wire.reply import Reply

CLASSES = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, BaseException)
]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_every_exception_has_its_own_row(kind: type[errors.FtpfsError]) -> None:
    assert kind in ERRNO
    assert ERRNO[kind] in errno.errorcode
    assert errno_of(kind("a line")) == ERRNO[kind]


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_exception_is_an_oserror(kind: type[BaseException]) -> None:
    """A binding passes an OSError's errno on: one of a socket would be taken for a file's."""
    assert issubclass(kind, errors.FtpfsError)
    assert not issubclass(kind, OSError)


@pytest.mark.parametrize("kind", CLASSES, ids=lambda kind: kind.__name__)
def test_no_failure_of_the_network_is_an_absence(kind: type[errors.FtpfsError]) -> None:
    if not issubclass(kind, errors.AbsentError):
        assert ERRNO[kind] != errno.ENOENT
    if issubclass(kind, errors.NetworkError | errors.ProtocolError):
        assert not issubclass(kind, errors.RefusedError)


def test_a_class_without_a_row_has_that_of_its_nearest_base() -> None:
    assert errno_of(ReplyError("RETR", Reply(550, ("no",)))) == errno.EIO

    class Odd(errors.QuotaError):
        pass

    assert errno_of(Odd("x")) == errno.EDQUOT


def test_routine_and_not_connected() -> None:
    assert is_routine(errors.AbsentError("x"))
    assert not is_routine(errors.NetworkError("x"))
    assert is_not_connected(OSError(errno.ENOTCONN, "gone"))
    assert not is_not_connected(OSError(errno.ENOENT, "absent"))
