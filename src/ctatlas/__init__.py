"""CT scans in, anatomy out.

The main job in Python::

    import ctatlas

    found = ctatlas.segment("scan.nii.gz")
    liver = found.mask("liver")  # (i, j, k) bool on the scan's grid

The public names arrive on first use, so that importing the package costs nothing. Not for clinical use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ctatlas.benchmark.evaluate import evaluate
    from ctatlas.pipeline import segment
    from ctatlas.volume import Segmentation, Volume, read, write

__version__ = "0.1.0.dev0"
__all__ = ["Segmentation", "Volume", "__version__", "evaluate", "read", "segment", "write"]

_ROOM_OF = {
    "Segmentation": "ctatlas.volume",
    "Volume": "ctatlas.volume",
    "evaluate": "ctatlas.benchmark.evaluate",
    "read": "ctatlas.volume",
    "segment": "ctatlas.pipeline",
    "write": "ctatlas.volume",
}


def __getattr__(name: str) -> object:
    """Import a public name's room on first use."""
    if name not in _ROOM_OF:
        raise AttributeError(f"module 'ctatlas' has no attribute {name!r}")
    value = getattr(import_module(_ROOM_OF[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, those not yet imported included."""
    return sorted({*globals(), *__all__})
