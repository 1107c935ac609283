"""What ITK-SNAP reads beside a label map: names and colours of its ids."""

from __future__ import annotations

from collections.abc import Mapping

from ctatlas.anatomy import structures

# Index, red, green, blue, opacity, visible, meshed, name. Source: what ITK-SNAP's "Save Label Descriptions" writes.
# ITK-SNAP passes over the lines with #; other readers of its files count on all fourteen.
_HEAD = """\
################################################
# ITK-SnAP Label Description File
# File format:
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
# Fields:
#    IDX:   Zero-based index
#    -R-:   Red color component (0..255)
#    -G-:   Green color component (0..255)
#    -B-:   Blue color component (0..255)
#    -A-:   Label transparency (0.00 .. 1.00)
#    VIS:   Label visibility (0 or 1)
#    IDX:   Label mesh visibility (0 or 1)
#  LABEL:   Label description
################################################"""
_LINE = '{:>5} {:>5} {:>4} {:>4} {:>8} {:>2} {:>2}    "{}"'


def label_descriptions(names: Mapping[int, str]) -> str:
    """Return a label description file, ids ascending, the first line for what is no structure."""
    colors = structures()
    lines = [
        _HEAD,
        _LINE.format(0, 0, 0, 0, 0, 0, 0, "Clear Label"),
        *(_LINE.format(number, *colors[name].color, 1, 1, 1, name) for number, name in sorted(names.items())),
    ]
    return "\n".join(lines) + "\n"
