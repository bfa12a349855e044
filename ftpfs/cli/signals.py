"""Who takes signals, and when. For the main thread.

Python's own handler of SIGINT raises KeyboardInterrupt wherever the main thread is: while a module
is loaded that shows a traceback, or is swallowed. So `main` lets it end the process, until there is
something to be cleaned up.
"""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping
from types import FrameType

Handler = Callable[[int, FrameType | None], object]


def raise_interrupt() -> None:
    """From here on SIGINT raises KeyboardInterrupt again."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextlib.contextmanager
def handled(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Signals have these handlers in the block; those that are ignored stay so, as `nohup` and
    shells in scripts want it."""
    before = {number: signal.getsignal(number) for number in handlers}
    try:
        for number, handler in handlers.items():
            if before[number] is not signal.SIG_IGN:
                signal.signal(number, handler)
        yield
    finally:
        for number, handler_before in before.items():
            signal.signal(number, handler_before)


INTERRUPT: Mapping[signal.Signals, Handler] = {signal.SIGINT: signal.default_int_handler}
"""For `handled`: raises KeyboardInterrupt."""
