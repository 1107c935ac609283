"""Which structures lie in which, and which may share voxels."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from ctatlas.anatomy.structures import smallest_parts, structures

# A tumor in a liver and the vessels in it are liver, too; a bone in a column of bones is not the column's other bones.
# Source: nesting of the training targets of AbdomenAtlas (reference/abdomenatlas.md §1.6).
_PART_OF_WHAT_HOLDS_IT = frozenset({"lesion", "vein", "artery"})


@cache
def ancestors(name: str) -> frozenset[str]:
    """Return what a structure is a part of or lies in, and what that is, and so on.

    Examples
    --------
    >>> sorted(ancestors("lung_upper_lobe_left")), sorted(ancestors("kidney_tumor"))
    (['lung_left', 'lungs'], ['kidneys'])
    """
    known = structures()
    direct = {known[name].parent, *(union.name for union in known.values() if name in union.parts)} - {""}
    return frozenset(direct).union(*map(ancestors, direct))


@cache
def may_share_voxels(one: str, other: str) -> bool:
    """Tell whether a voxel can belong to both: one lies in the other, or the table of structures says so.

    Examples
    --------
    >>> may_share_voxels("liver", "liver_tumor"), may_share_voxels("liver", "stomach")
    (True, False)
    """
    known = structures()
    return (
        one == other
        or one in ancestors(other)
        or other in ancestors(one)
        or one in known[other].may_overlap
        or other in known[one].may_overlap
        or not smallest_parts(one).isdisjoint(smallest_parts(other))
    )


def holders(name: str, among: Iterable[str]) -> tuple[str, ...]:
    """Return the structures whose voxels include those of another, such as the organ of a tumor.

    Where only the sides of what holds it are there (a kidney tumor, and two kidneys), both are returned, and each
    piece of it belongs to the one that it touches.

    Examples
    --------
    >>> holders("kidney_tumor", ["kidney_left", "liver", "kidney_right"]), holders("vertebrae_S1", ["sacrum"])
    (('kidney_left', 'kidney_right'), ())
    """
    known = structures()
    candidates = [other for other in among if other != name]
    unions = {other for other in candidates if smallest_parts(name) < smallest_parts(other)}
    if known[name].group not in _PART_OF_WHAT_HOLDS_IT or not known[name].parent:
        return tuple(other for other in candidates if other in unions)
    whole = smallest_parts(known[name].parent)
    sides = {other for other in candidates if smallest_parts(other) < whole}
    return tuple(other for other in candidates if other in unions | ancestors(name) | sides)
