"""Structures on one grid, kept as label layers: memory follows how often structures overlap, not how many there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import reduce
from itertools import count
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from scipy import ndimage

from ctatlas.errors import ModelError
from ctatlas.volume.orientation import turn_between

if TYPE_CHECKING:
    from ctatlas.volume.grid import Grid

_LAYER_HOLDS = 255  # uint8; 0 is "nothing here"
_AT_ONCE = 2**18  # voxels looked up together

Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a structure is kept: the voxels of `layer` that equal `value`."""

    layer: int
    value: int


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """A set of named masks on one grid; overlaps are allowed, and a name may have no voxel (looked for, not found).

    Made by `from_masks` or `from_labels`; every operation returns a new one that shares unchanged layers.

    Attributes
    ----------
    grid : Grid
    layers : tuple of (i, j, k) uint8
        Fortran order, read-only. Structures of one layer do not overlap.
    places : mapping of str to Place
        Structure name -> layer and value, in the order in which names are handed out.
    notes : tuple of str
        What had to be decided when it was read, one line each; what is made of it has none.
    """

    grid: Grid
    layers: tuple[np.ndarray, ...] = ()
    places: Mapping[str, Place] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for layer in self.layers:
            if layer.shape != self.grid.shape or layer.dtype != np.uint8:
                raise ValueError(f"layer is {layer.dtype} {layer.shape}; expected uint8 {self.grid.shape}")
        object.__setattr__(self, "layers", tuple(_sealed(layer) for layer in self.layers))
        object.__setattr__(self, "places", MappingProxyType(dict(self.places)))

    @classmethod
    def from_masks(cls, grid: Grid, masks: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]]) -> Segmentation:
        """Pack (i, j, k) bool masks, each into the first layer in which it overlaps nothing.

        Pairs may come from a generator, so that not all masks need exist at once.
        """
        return cls(grid).with_masks(masks)

    @classmethod
    def from_labels(cls, grid: Grid, labels: np.ndarray, names: Mapping[int, str]) -> Segmentation:
        """Take the structures named by id out of an (i, j, k) uint8 or uint16 label map; other ids are left out."""
        if labels.shape != grid.shape or labels.dtype not in (np.uint8, np.uint16):
            raise ValueError(f"labels are {labels.dtype} {labels.shape}; expected uint8 or uint16 {grid.shape}")
        if len(set(names.values())) < len(names) or not all(0 < identity < 2**16 for identity in names):
            raise ValueError("label names are not unique, or an id is not within 1..65535")
        tables: list[np.ndarray] = []
        places = {}
        for position, (identity, name) in enumerate(names.items()):
            layer, value = position // _LAYER_HOLDS, position % _LAYER_HOLDS + 1
            if value == 1:
                tables.append(np.zeros(2**16, np.uint8))
            tables[layer][identity] = value
            places[name] = Place(layer, value)
        return cls(grid, tuple(_translated(labels, table) for table in tables), places)

    @property
    def names(self) -> tuple[str, ...]:
        """Structures, found or looked for."""
        return tuple(self.places)

    @property
    def n_layers(self) -> int:
        """Number of layers: 1 unless structures overlap or there are more than 255."""
        return len(self.layers)

    def mask(self, name: str) -> np.ndarray:
        """Return one structure's voxels, (i, j, k) bool."""
        place = self._place(name)
        mask: np.ndarray = self.layers[place.layer] == place.value
        return mask

    def items(self) -> Iterator[tuple[str, np.ndarray]]:
        """Yield each name with its mask, one mask in memory at a time."""
        for name in self.places:
            yield name, self.mask(name)

    def n_voxels(self) -> dict[str, int]:
        """Count every structure's voxels in one pass over each layer."""
        counts = [_histogram(layer) for layer in self.layers]
        return {name: int(counts[place.layer][place.value]) for name, place in self.places.items()}

    def add(self, name: str, mask: np.ndarray) -> Segmentation:
        """Return the segmentation with one more structure."""
        return self.with_masks({name: mask})

    def with_masks(self, masks: Mapping[str, np.ndarray] | Iterable[tuple[str, np.ndarray]]) -> Segmentation:
        """Return the segmentation with more structures; a name that is there already is refused."""
        layers, places = list(self.layers), dict(self.places)
        fresh: set[int] = set()  # layers made or copied here may be written to
        for name, mask in masks.items() if isinstance(masks, Mapping) else masks:
            if name in places:
                raise ValueError(f"structure {name!r} is there already; use replace")
            if mask.shape != self.grid.shape or mask.dtype != np.bool_:
                raise ValueError(f"mask {name!r} is {mask.dtype} {mask.shape}; expected bool {self.grid.shape}")
            box = box_of(mask)
            place = places[name] = _free_place(layers, places, None if box is None else mask[box], box)
            if place.layer == len(layers):
                layers.append(np.zeros(self.grid.shape, np.uint8, order="F"))
                fresh.add(place.layer)
            if box is not None:
                if place.layer not in fresh:
                    layers[place.layer] = layers[place.layer].copy(order="F")
                    fresh.add(place.layer)
                layers[place.layer][box] |= mask[box] * np.uint8(place.value)  # its voxels are free
        return Segmentation(self.grid, tuple(layers), places)

    def grow(self, name: str, box: Box, part: np.ndarray) -> Segmentation:
        """Return the segmentation with more voxels for one structure; whoever has them moves to another layer.

        Parameters
        ----------
        name : str
        box : Box
        part : (i, j, k) bool
            The voxels, within the box.
        """
        home, layers, places = self._place(name), list(self.layers), dict(self.places)
        values = {place.value: other for other, place in self.places.items() if place.layer == home.layer}
        there = {int(value) for value in np.unique(layers[home.layer][box][part])}
        if there <= {home.value}:
            return self
        layers[home.layer] = layers[home.layer].copy(order="F")
        fresh = {home.layer}  # layers made or copied here may be written to
        for other in (values[value] for value in sorted(there - {0, home.value})):
            theirs, inside = self.box(other), places.pop(other)
            if theirs is None:
                raise AssertionError("a structure without voxels is in nobody's way")
            voxels = layers[home.layer][theirs] == inside.value
            place = places[other] = _free_place(layers, places | {name: home}, voxels, theirs)
            layers[home.layer][theirs][voxels] = 0
            if place.layer == len(layers):
                layers.append(np.zeros(self.grid.shape, np.uint8, order="F"))
            elif place.layer not in fresh:
                layers[place.layer] = layers[place.layer].copy(order="F")
            fresh.add(place.layer)
            layers[place.layer][theirs] |= voxels * np.uint8(place.value)
        layers[home.layer][box][part] = home.value
        return Segmentation(self.grid, tuple(layers), {each: places[each] for each in self.places})

    def box(self, name: str) -> Box | None:
        """Return the smallest box that holds a structure, or None when it has no voxel; its mask is not made."""
        place = self._place(name)
        layer = self.layers[place.layer]
        slices = [k for k in range(self.grid.shape[2]) if (layer[:, :, k] == place.value).any()]
        if not slices:
            return None
        first, last = slices[0], slices[-1] + 1
        found = box_of(layer[:, :, first:last] == place.value)
        return None if found is None else (found[0], found[1], slice(first, last))

    def boxes(self) -> dict[str, Box | None]:
        """Return every structure's smallest box, None where it has no voxel, in one pass over each layer."""
        boxes = [boxes_of(layer) for layer in self.layers]
        return {name: boxes[place.layer].get(place.value) for name, place in self.places.items()}

    def within(self, name: str, box: Box) -> np.ndarray:
        """Return one structure's voxels in a box, bool."""
        place = self._place(name)
        return np.asarray(self.layers[place.layer][box] == place.value)

    def replace(self, masks: Mapping[str, np.ndarray]) -> Segmentation:
        """Return the segmentation with new voxels for structures it has; names keep their order."""
        for name in masks:
            self._place(name)
        kept = self.select(name for name in self.places if name not in masks)
        changed = kept.with_masks(masks)
        return changed.select(self.places)

    def select(self, names: Iterable[str]) -> Segmentation:
        """Return only these structures, in this order."""
        wanted = {name: self._place(name) for name in names}
        layers: list[np.ndarray] = []
        places: dict[str, Place] = {}
        for old, layer in enumerate(self.layers):
            values = [(name, place.value) for name, place in wanted.items() if place.layer == old]
            if values:
                places |= {name: Place(len(layers), value) for name, value in values}
                layers.append(_only(layer, [value for _, value in values], len(self._values(old))))
        return Segmentation(self.grid, tuple(layers), {name: places[name] for name in wanted})

    def rename(self, names: Mapping[str, str]) -> Segmentation:
        """Return the segmentation with structures renamed, old name -> new name; others keep theirs."""
        for name in names:
            self._place(name)
        places = [(names.get(name, name), place) for name, place in self.places.items()]
        if len(dict(places)) < len(places):
            raise ValueError("two structures would bear one name")
        return Segmentation(self.grid, self.layers, dict(places))

    def combined(self, ids: Mapping[str, int]) -> np.ndarray:
        """Return one (i, j, k) label map, uint8 or uint16; where structures overlap the later one in `ids` wins.

        Parameters
        ----------
        ids : mapping of str to int
            Structure -> id within 1..65535; structures not in it are left out.
        """
        if not all(0 < identity < 2**16 for identity in ids.values()):
            raise ValueError("ids are not all within 1..65535")
        dtype = np.uint8 if max(ids.values(), default=0) <= 255 else np.uint16
        tables: dict[int, np.ndarray] = {}  # layer -> its values -> place among `ids`, counted from 1
        for position, name in enumerate(ids, start=1):
            place = self._place(name)
            table = tables.setdefault(place.layer, np.zeros(256, np.uint16 if len(ids) > _LAYER_HOLDS else np.uint8))
            table[place.value] = position
        layers = [(self.layers[number].reshape(-1, order="F"), table) for number, table in tables.items()]
        found = np.zeros(self.grid.shape, dtype, order="F")
        into, final = found.reshape(-1, order="F"), np.array([0, *ids.values()], dtype)
        for piece in _pieces(into):
            positions = [_looked_up(flat[piece], table) for flat, table in layers]
            if positions:
                into[piece] = _looked_up(reduce(np.maximum, positions), final)
        return found

    def reoriented(self, code: str) -> Segmentation:
        """Return the same structures with the axes in the order and direction of a code such as ``"RAS"``."""
        turn = turn_between(self.grid.orientation, code)
        return Segmentation(self.grid.reoriented(code), tuple(turn.array(layer) for layer in self.layers), self.places)

    def _place(self, name: str) -> Place:
        """Return where a structure is kept, or refuse an unknown one."""
        if name not in self.places:
            raise ModelError(f"no structure {name!r} in this segmentation; it has {', '.join(self.places) or 'none'}")
        return self.places[name]

    def _values(self, layer: int) -> set[int]:
        """Return the values a layer holds."""
        return {place.value for place in self.places.values() if place.layer == layer}


def box_of(mask: np.ndarray) -> Box | None:
    """Return the smallest box that holds every True voxel of an (i, j, k) mask, or None when there is none."""
    box = [slice(None)] * 3
    for axis in (2, 1, 0):  # k first: in Fortran order that narrows the mask at once to the slabs that matter
        hit = np.flatnonzero(mask[tuple(box)].any(axis=tuple(other for other in range(3) if other != axis)))
        if not len(hit):
            return None
        box[axis] = slice(int(hit[0]), int(hit[-1]) + 1)
    i, j, k = box
    return i, j, k


def boxes_of(labels: np.ndarray) -> dict[int, Box]:
    """Return by value the smallest box around each value of an (i, j, k) label map but 0, in one pass."""
    spans = ndimage.find_objects(labels.T)  # turned: in the order in which voxels lie in memory
    return {value: (span[2], span[1], span[0]) for value, span in enumerate(spans, start=1) if span}


def _free_place(
    layers: list[np.ndarray], places: Mapping[str, Place], part: np.ndarray | None, box: Box | None
) -> Place:
    """Return the first layer in which a box's voxels are free, and a value not yet used there."""
    for layer in count():
        used = {place.value for place in places.values() if place.layer == layer}
        value = next((value for value in range(1, _LAYER_HOLDS + 1) if value not in used), None)
        if value is None:
            continue
        if layer == len(layers) or box is None or not (layers[layer][box] * part).any():
            return Place(layer, value)
    raise AssertionError("unreachable: count() never ends")


def _only(layer: np.ndarray, values: list[int], n_present: int) -> np.ndarray:
    """Return the layer with these values alone, so that what was left out does not block later masks."""
    if len(values) == n_present:
        return layer
    table = np.zeros(256, np.uint8)
    table[values] = values
    return _translated(layer, table)


def _translated(labels: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return table[labels] in Fortran order, piece by piece: indexing widens what it looks up to int64."""
    flat = np.asfortranarray(labels).reshape(-1, order="F")
    found = np.empty(labels.shape, table.dtype, order="F")
    into = found.reshape(-1, order="F")
    for piece in _pieces(flat):
        into[piece] = _looked_up(flat[piece], table)
    return found


def _looked_up(values: np.ndarray, table: np.ndarray) -> np.ndarray:
    """Return table[values], both one-dimensional; from bytes to bytes ten times as fast as by indexing."""
    if not values.dtype == table.dtype == np.uint8:
        return np.asarray(table[values])
    whole = np.zeros(256, np.uint8)
    whole[: len(table)] = table[:256]
    return np.frombuffer(values.tobytes().translate(whole.tobytes()), np.uint8)


def _pieces(flat: np.ndarray) -> Iterator[slice]:
    """Cut an array into pieces that stay in a core's cache."""
    yield from (slice(start, start + _AT_ONCE) for start in range(0, len(flat), _AT_ONCE))


def _histogram(layer: np.ndarray) -> np.ndarray:
    """Count each of the 256 values, slab by slab because bincount widens what it counts to int64."""
    counts = np.zeros(256, np.int64)
    for k in range(layer.shape[2]):
        counts += np.bincount(layer[:, :, k].ravel(order="K"), minlength=256)
    return counts


def _sealed(layer: np.ndarray) -> np.ndarray:
    """Return a read-only Fortran-ordered view."""
    sealed = np.asfortranarray(layer).view()
    sealed.flags.writeable = False
    return sealed
