"""Locks on files and folders that go with the process, however that ends."""

from __future__ import annotations

import time

PATIENCE_S = 3.0  # a process that was killed holds its locks until the system has taken its memory back
_LOOK_S = 0.05


def held(handle: int, *, shared: bool = False) -> bool:
    """Lock what a handle is open on; tell whether it could be had.

    Another process that holds it is given `PATIENCE_S` to be gone: who kills a program and starts it again at once is
    not refused because of the one that is just ending. Where there are no locks (Windows, some network disks) all can
    be had; results are kept whole by renaming there.
    """
    try:
        import fcntl
    except ImportError:
        return True
    kind = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            fcntl.flock(handle, kind)
        except BlockingIOError:
            if time.monotonic() > deadline:
                return False
            time.sleep(_LOOK_S)
        except OSError:
            return True
        else:
            return True
