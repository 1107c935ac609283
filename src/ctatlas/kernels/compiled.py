"""Hot loops are compiled by numba where it is installed; NumPy and SciPy find the same, slower, where it is not.

A loop that few things pass through, such as the settling of ties, runs as it stands where it can't be compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import TypeVar, cast

Loop = TypeVar("Loop", bound=Callable[..., object])


@cache
def has_numba() -> bool:
    """Tell whether loops can be compiled here. Asked when the first is needed, not before: it takes half a second."""
    try:
        import_module("numba")
    except ImportError:  # not there, or not for this NumPy
        return False
    return True


def compiled(loop: Loop) -> Loop:
    """Compile a function on its first call; its machine code is kept for later processes where there is a place for it.

    Notes
    -----
    The code is kept beside the module or, where that folder is not ours, in the user's cache; NUMBA_CACHE_DIR names
    another place. Where nothing can be written every process compiles anew, which takes some seconds.
    """
    if not has_numba():
        return loop
    from numba import njit

    try:
        return cast("Loop", njit(cache=True, nogil=True)(loop))
    except RuntimeError:  # "no locator available": there is no folder to keep it in
        return cast("Loop", njit(nogil=True)(loop))
