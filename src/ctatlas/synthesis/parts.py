"""One painted thing of a phantom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ctatlas.synthesis.shapes import Ellipsoid, Point, Shape, Tube, Union, fan
from ctatlas.synthesis.tables import placement

NAMES = ("tissue", "inner", "gas", "organ", "needs", "begins_at")  # what bears a side's name


@dataclass(frozen=True, slots=True)
class Part:
    """A shape and what it is made of.

    `inner` fills what lies deeper than `wall` mm, `gas` the front of that above the level `gas_y` (patients lie on
    their back). `over` limits painting to some tissues, `spares` keeps it from some, `inside` to the "cavity";
    `above`/`below` cut the shape at a dome of the diaphragm, `floor` at a height; `clefts` are as many mm deep, as fat
    parts the lobules of a gland. A vessel that lies with one organ may need another (`needs`): who lacks that has
    neither. Or it begins at one (`begins_at`) and ends at its own: the further along, the more it moves with that.
    """

    tissue: str
    shape: Shape
    organ: str
    inner: str = ""
    wall: float = 0.0
    gas: str = ""
    gas_y: float | None = None
    over: tuple[str, ...] = ()
    above: str = ""
    below: str = ""
    inside: str = ""
    spares: tuple[str, ...] = ()
    clefts: float = 0.0
    floor: float | None = None
    needs: str = ""
    begins_at: str = ""

    def mirrored(self) -> Part:
        """Return the same part on the right side."""
        names = {key: getattr(self, key).replace("_left", "_right") for key in NAMES}
        return replace(self, shape=self.shape.mirrored(), **names)


def placed_parts(sex: str, forms: Mapping[str, str]) -> list[Part]:
    """Return the parts of the placement table that a person has, mirrored ones twice, in painting order.

    Parameters
    ----------
    sex : {"female", "male"}
    forms : mapping of str to str
        Which of its forms an organ group has, where it has several.
    """
    parts: list[Part] = []
    for row in placement()["parts"]:
        form = forms.get(row["organ"], "")
        if row.get("sex", sex) != sex or row.get("form", form) != form:
            continue
        part = Part(
            row["tissue"],
            _shape(row),
            row["organ"],
            inner=row.get("inner", ""),
            wall=row.get("wall", 0.0),
            gas=row.get("gas", ""),
            above=row.get("above", ""),
            below=row.get("below", ""),
            inside=placement()["organs"][row["organ"]].get("inside", ""),
            spares=tuple(row.get("spares", ())),
            floor=row.get("floor"),
            needs=row.get("needs", ""),
            begins_at=row.get("begins_at", ""),
        )
        parts += [part, part.mirrored()] if row.get("mirror") else [part]
    return parts


def _point(values: list[float]) -> Point:
    x, y, z = (float(value) for value in values)
    return (x, y, z)


def _ellipsoid(row: dict[str, Any]) -> Ellipsoid:
    rotation = _point(row.get("rotation", [0, 0, 0]))
    return Ellipsoid(_point(row["center"]), _point(row["radii"]), float(row.get("power", 2.0)), rotation)


def _tube(row: dict[str, Any]) -> Tube:
    points, radii = (_point(point) for point in row["points"]), (float(radius) for radius in row["radii"])
    return Tube(tuple(points), tuple(radii), float(row.get("flat", 1.0)))


def _fan(row: dict[str, Any]) -> Union:
    return fan(_point(row["apex"]), tuple(_point(point) for point in row["rim"]), float(row["radius"]))


SHAPES: dict[str, Callable[[dict[str, Any]], Shape]] = {"ellipsoid": _ellipsoid, "tube": _tube, "fan": _fan}


def _shape(row: dict[str, Any]) -> Shape:
    return SHAPES[row["kind"]](row)
