"""What ITK-SNAP reads beside a label map: names and colours of its ids."""

from __future__ import annotations

from collections.abc import Mapping

from ctatlas.anatomy import structures

# Index, red, green, blue, opacity, visible, meshed, name. Source: what ITK-SNAP's "Save Label Descriptions" writes.
_LINE = '{:>5} {:>5} {:>4} {:>4} {:>8} {:>2} {:>2}    "{}"'


def label_descriptions(names: Mapping[int, str]) -> str:
    """Return a label description file, ids ascending, the first line for what is no structure."""
    colors = structures()
    lines = [
        "################################################",
        "# ITK-SnAP Label Description File",
        "# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL",
        "################################################",
        _LINE.format(0, 0, 0, 0, 0, 0, 0, "Clear Label"),
        *(_LINE.format(number, *colors[name].color, 1, 1, 1, name) for number, name in sorted(names.items())),
    ]
    return "\n".join(lines) + "\n"
