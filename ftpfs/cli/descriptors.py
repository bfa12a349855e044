"""The standard descriptors at the start of a process."""

from __future__ import annotations

import os


def occupy_closed() -> None:
    """Open /dev/null in the wrong direction on each standard descriptor that is closed.

    As gnulib's stdopen: using it fails with EBADF as it did before, and no connection gets its
    number, to which the content of a file would be written as commands.
    """
    for descriptor, flags in ((0, os.O_WRONLY), (1, os.O_RDONLY), (2, os.O_RDONLY)):
        try:
            os.fstat(descriptor)
        except OSError:
            lowest_free = os.open(os.devnull, flags)
            os.set_inheritable(lowest_free, True)  # programs that we start need it no less
