"""A segmentation while rules work on it: who owns which voxel, and what components each structure has."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from ctatlas.anatomy import smallest_parts, structures
from ctatlas.anatomy_rules.components import (
    Box,
    Component,
    edge_voxels,
    label_components,
    measure_components,
)
from ctatlas.volume.segmentation import Place, Segmentation, boxes_of

if TYPE_CHECKING:
    from ctatlas.anatomy_rules.findings import Change

SAMPLE_MM = 3.0  # organs are looked at this densely where only their extent matters
AT_MOST = 50_000  # points of one structure


class _Extent(NamedTuple):
    """Where a structure reaches: a box that holds it (None when it is nowhere), and points in it, (n, 3) world mm."""

    box: Box | None
    points_mm: np.ndarray


class Anatomy:
    """The structures as they stand. Components are numbered layer by layer when first asked for, all at once.

    A reference such as `hips` or `vertebrae` means the structure of that name or, where the segmentation has none,
    those of its parts that it has.
    """

    def __init__(self, segmentation: Segmentation) -> None:
        self.grid = segmentation.grid
        self._order = list(segmentation.names)
        self._places = dict(segmentation.places)
        self._values = list(segmentation.layers)
        self._given = segmentation.layers
        self._labels: dict[int, np.ndarray] = {}
        self._last_label: dict[int, int] = {}
        self._components: dict[str, tuple[Component, ...]] = {}
        self._disturbed: dict[str, list[Box]] = {}
        self._extents: dict[str, _Extent] = {}
        self._spans: dict[int, dict[int, Box]] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Structures, found or looked for."""
        return tuple(self._order)

    def components(self, name: str) -> tuple[Component, ...]:
        """Return a structure's components, the largest first."""
        if name not in self._components:
            self._number(self._places[name].layer)
        if name in self._disturbed:
            self._renumber(name, self._disturbed.pop(name))
        return self._components[name]

    def voxels(self, name: str, component: Component) -> np.ndarray:
        """Return the voxels of a structure's component, bool within its box."""
        return np.asarray(self._labels[self._places[name].layer][component.box] == component.label)

    def within(self, name: str, box: Box) -> np.ndarray:
        """Return the structure's voxels in a box of the grid, bool."""
        place = self._places[name]
        return np.asarray(self._values[place.layer][box] == place.value)

    def volume_ml(self, name: str) -> float:
        """Return a structure's volume."""
        return sum(component.volume_ml for component in self.components(name))

    def present(self, references: Sequence[str]) -> tuple[str, ...]:
        """Return the structures that references mean and that have voxels."""
        wanted: list[str] = []
        for reference in references:
            known = reference in self._order or reference not in structures()
            wanted += [reference] if known else sorted(smallest_parts(reference))
        return tuple(name for name in wanted if name in self._order and self.box(name))

    def points_mm(self, references: Sequence[str]) -> np.ndarray:
        """Return voxel centres, evenly taken, of all structures that references mean, (n, 3) world mm."""
        points = [self._extent(name).points_mm for name in self.present(references)]
        return np.concatenate(points) if points else np.zeros((0, 3))

    def box(self, name: str) -> Box | None:
        """Return a box that holds a structure, up to 3 mm too wide; None when it is nowhere.

        What is thinner than 3 mm may stand out of it; `tight_box` holds all.
        """
        return self._extent(name).box

    def tight_box(self, name: str) -> Box | None:
        """Return the smallest box that holds every voxel of a structure, from its components; None when it has none."""
        boxes = [component.box for component in self.components(name)]
        if not boxes:
            return None
        i, j, k = (slice(min(b[a].start for b in boxes), max(b[a].stop for b in boxes)) for a in range(3))
        return i, j, k

    def cut_at(self, references: Sequence[str], world_axis: int, *, upper: bool) -> bool:
        """Tell whether the scan ends where any of the structures does, toward one end of a world axis."""
        columns = self.grid.affine[:3, :3] / np.array(self.grid.spacing_mm)
        axis = int(np.abs(columns[world_axis]).argmax())
        reach, size = int(edge_voxels(self.grid)[axis]), self.grid.shape[axis]
        sides = [box[axis] for name in self.present(references) if (box := self.box(name))]
        if (columns[world_axis, axis] > 0) == upper:
            return any(side.stop > size - reach for side in sides)
        return any(side.start < reach for side in sides)

    def carry_out(self, changes: Sequence[Change]) -> None:
        """Let voxels change hands."""
        for change in changes:
            source = change.structure or change.to
            if change.to:
                self.introduce(change.to, beside=source)
            layer = self._places[source].layer
            self._own(layer)[change.box][change.voxels] = self._places[change.to].value if change.to else 0
            self._spans.pop(layer, None)
            if change.component is None:
                self._disturb(change.structure, change.box)
                self._disturb(change.to, change.box)
            elif change.structure:
                kept = tuple(c for c in self._components[change.structure] if c is not change.component)
                self._components[change.structure] = kept
                self._disturb(change.to, change.box)
            else:
                self._absorb(change.to, change.component, change.voxels)
            self._extents.pop(change.structure, None)
            self._extents.pop(change.to, None)

    def introduce(self, name: str, *, beside: str) -> None:
        """Know a new structure, empty until something is handed to it, in the layer of another."""
        if name not in self._places:
            self._make_room(name, self._places[beside].layer)

    def forget(self, name: str) -> None:
        """Take a structure's name away: others took its place."""
        self._order.remove(name)

    def segmentation(self) -> Segmentation:
        """Return the structures as they stand now."""
        places = {name: self._places[name] for name in self._order}
        return Segmentation(self.grid, tuple(self._values), places)

    def _make_room(self, name: str, layer: int) -> None:
        """Make room for a new structure in a layer."""
        used = {place.value for place in self._places.values() if place.layer == layer}
        self._places[name] = Place(layer, min(set(range(1, 256)) - used))
        self._order.append(name)
        if layer in self._labels:
            self._components[name] = ()

    def _own(self, layer: int) -> np.ndarray:
        """Return a layer that may be written to."""
        if self._values[layer] is self._given[layer]:
            self._values[layer] = self._given[layer].copy(order="F")
        return self._values[layer]

    def _disturb(self, name: str, box: Box) -> None:
        """Remember that a structure's components are no longer true in a box."""
        if name in self._components:
            self._disturbed.setdefault(name, []).append(box)

    def _absorb(self, name: str, component: Component, voxels: np.ndarray) -> None:
        """Make voxels in a component's box part of it."""
        self._labels[self._places[name].layer][component.box][voxels] = component.label
        more_ml = int(np.count_nonzero(voxels)) * self.grid.voxel_ml
        grown = replace(component, volume_ml=component.volume_ml + more_ml)
        self._components[name] = tuple(grown if c is component else c for c in self._components[name])

    def _extent(self, name: str) -> _Extent:
        """Look at every n-th voxel of a structure."""
        if name not in self._extents:
            place, shape = self._places[name], np.array(self.grid.shape)
            first, stride = self._sampling()
            span = self._span(place)
            box: Box | None = None
            voxels = np.zeros((0, 3), dtype=int)
            if span is not None:
                start = np.array([side.start for side in span])
                hit = self._sampled(place.layer)[span] == place.value
                voxels = (np.argwhere(hit) + start) * stride + first
                low, high = np.maximum(voxels.min(axis=0) - stride + 1, 0), voxels.max(axis=0) + stride
                high = np.minimum(high, shape)
                i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
                box = i, j, k
            self._extents[name] = _Extent(box, self.grid.world(voxels[:: len(voxels) // AT_MOST + 1]))
        return self._extents[name]

    def _sampling(self) -> tuple[np.ndarray, np.ndarray]:
        """Return which voxels are looked at: the first, and the stride."""
        stride = np.maximum(1, (SAMPLE_MM / np.array(self.grid.spacing_mm) + 0.25).astype(int))
        return np.minimum(stride // 2, np.array(self.grid.shape) - 1), stride

    def _sampled(self, layer: int) -> np.ndarray:
        first, stride = self._sampling()
        i, j, k = (slice(int(start), None, int(step)) for start, step in zip(first, stride, strict=True))
        return self._values[layer][i, j, k]

    def _span(self, place: Place) -> Box | None:
        """Return the box of a structure among the voxels looked at; those of a layer are found in one go."""
        if place.layer not in self._spans:
            self._spans[place.layer] = boxes_of(self._sampled(place.layer))
        return self._spans[place.layer].get(place.value)

    def _number(self, layer: int) -> None:
        """Take all components of a layer, in one go."""
        values = self._own(layer)
        labels = self._labels[layer] = label_components(values)
        names = {place.value: name for name, place in self._places.items() if place.layer == layer}
        found: dict[str, list[Component]] = {name: [] for name in names.values()}
        components = measure_components(labels, self.grid)
        self._last_label[layer] = len(components)
        for component in components:
            i, j, k = component.box
            face = labels[i, j, k.start] == component.label  # the box is tight: each of its faces meets the component
            value = int(values[i, j, k.start][np.unravel_index(int(face.argmax()), face.shape)])
            if value in names:
                found[names[value]].append(component)
        self._components |= {name: _largest_first(components) for name, components in found.items()}

    def _renumber(self, name: str, boxes: Sequence[Box]) -> None:
        """Take one structure's components anew, in the box that holds its components and what changed."""
        place = self._places[name]
        touched = [*boxes, *(component.box for component in self._components[name])]
        i, j, k = (slice(min(b[a].start for b in touched), max(b[a].stop for b in touched)) for a in range(3))
        start = i.start, j.start, k.start
        mask = self._values[place.layer][i, j, k] == place.value
        fresh = label_components(mask)
        components = measure_components(fresh, self.grid, start=start)
        last = self._last_label[place.layer]
        self._labels[place.layer][i, j, k][mask] = fresh[mask] + np.uint32(last)
        self._last_label[place.layer] = last + len(components)
        self._components[name] = _largest_first([replace(c, label=c.label + last) for c in components])


def _largest_first(components: list[Component]) -> tuple[Component, ...]:
    return tuple(sorted(components, key=lambda component: -component.volume_ml))
