"""No reader and no writer moves a mark: each one of the registries, however the patient lay, checked in world space.

What others wrote we read, and what we write others read. A format that joins a registry fails here until `marked` says
how others write and read it.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.volume import Grid, MaskChoices, Segmentation, Volume, read, read_segmentation, segmentation_kind, write
from ctatlas.volume.reading import READERS, kind_at
from ctatlas.volume.reading_masks import SEGMENTATION_READERS
from ctatlas.volume.writing import SEGMENTATION_WRITERS, VOLUME_WRITERS
from tests.volume.marked import (
    HU,
    LYING,
    MASKS_FOR_OTHERS,
    MASKS_OF_OTHERS,
    SCANS_OF_OTHERS,
    Places,
    marks_of_scan,
    placed,
)

SCANS = [(kind, ending) for kind in READERS for ending in SCANS_OF_OTHERS.get(kind, ((), None))[0]]
MASKS = [(kind, name) for kind in SEGMENTATION_READERS for name in MASKS_OF_OTHERS.get(kind, ((), None))[0]]
ORDERS = ("RAS", "PIL")
each_lying = pytest.mark.parametrize("lying", LYING)


def marks_in(scan: Volume) -> Places:
    return {mark: placed(scan.array == hu, scan.grid.affine) for mark, hu in HU.items()}


def masks_in(found: Segmentation) -> Places:
    return {name: placed(mask, found.grid.affine) for name, mask in found.items()}


def test_every_reader_and_writer_is_tried() -> None:
    assert set(SCANS_OF_OTHERS) == set(READERS)
    assert set(MASKS_OF_OTHERS) == set(SEGMENTATION_READERS)
    assert set(MASKS_FOR_OTHERS) >= set(SEGMENTATION_WRITERS)


@each_lying
@pytest.mark.parametrize(("kind", "ending"), SCANS)
def test_scans_of_others(tmp_path: Path, kind: str, ending: str, lying: str) -> None:
    patient, path = LYING[lying], tmp_path / f"ct{ending}"
    SCANS_OF_OTHERS[kind][1](patient, path)
    assert kind_at(path) == kind
    scan = read(path)
    patient.check(marks_in(scan))
    for order in ORDERS:
        patient.check(marks_in(scan.reoriented(order)))


@each_lying
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("ending", [ending for writer in VOLUME_WRITERS.values() for ending in writer.endings])
def test_scans_for_others(tmp_path: Path, ending: str, order: str, lying: str) -> None:
    patient = LYING[lying]
    scan = Volume(patient.hu(), Grid(patient.hu().shape, patient.ras)).reoriented(order)
    write(scan, tmp_path / f"ct{ending}")
    for seen in (marks_in(read(tmp_path / f"ct{ending}")), *marks_of_scan(tmp_path / f"ct{ending}")):
        patient.check(seen)


@each_lying
@pytest.mark.parametrize(("kind", "name"), MASKS)
def test_masks_of_others(tmp_path: Path, kind: str, name: str, lying: str) -> None:
    patient = LYING[lying]
    series = patient.series(tmp_path / "ct")
    MASKS_OF_OTHERS[kind][1](patient, tmp_path / name, series)
    assert segmentation_kind(tmp_path / name) == kind
    scan = read(series)
    patient.check(masks_in(read_segmentation(tmp_path / name, scan=scan, source=series)))
    for order in ORDERS:
        found = read_segmentation(tmp_path / name, scan.grid.reoriented(order), scan=scan, source=series)
        patient.check(masks_in(found))
    if kind != "rtstruct":  # whose lines say nothing about a grid
        patient.check(masks_in(read_segmentation(tmp_path / name)))


@each_lying
@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("kind", SEGMENTATION_WRITERS)
def test_masks_for_others(tmp_path: Path, kind: str, order: str, lying: str) -> None:
    patient = LYING[lying]
    name, found_by_others = MASKS_FOR_OTHERS[kind]
    series = patient.series(tmp_path / "ct")
    scan = read(series)
    drawn = Segmentation.from_masks(Grid(patient.hu().shape, patient.ras), patient.masks()).reoriented(order)
    write(drawn, tmp_path / name, MaskChoices(scan=scan, source=series), kind=kind)
    patient.check(found_by_others(tmp_path / name))
    patient.check(masks_in(read_segmentation(tmp_path / name, scan=scan, source=series)))
