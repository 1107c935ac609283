"""What the processor of this machine can do, as far as engines differ by it."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from ctatlas.errors import ModelError

_BF16 = {"avx512_bf16", "amx_bf16"}


@lru_cache(maxsize=1)
def instructions() -> frozenset[str]:
    """Return the names of the processor's instruction sets, as Linux tells them; none where it is not asked."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return frozenset()
    line = next((line for line in text.splitlines() if line.startswith(("flags", "Features"))), "")
    return frozenset(line.partition(":")[2].split())


def need_bf16(backend: str) -> None:
    """Refuse to compute in bfloat16 where that would have to be imitated, many times slower.

    Raises
    ------
    ModelError
        When the processor has none of the instructions.
    """
    if not instructions() & _BF16:
        raise ModelError(
            f"backend {backend!r}: this processor has no instructions for bfloat16 ({', '.join(sorted(_BF16))}); "
            f"take {backend.removesuffix('-bf16')!r}"
        )
