"""How sources lay out scans and labels: one module a layout, with `fits` and `listed`, and the `registry` of them.

`reading` is what several need: paths and descriptions from strangers, whose numbers a label has.
"""

from ctatlas.atlas.add.layouts.registry import LAYOUTS, Layout, listed

__all__ = ["LAYOUTS", "Layout", "listed"]
