"""`ctatlas convert` between all formats of the registries: voxels exact, every position within 0.0001 mm."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from ctatlas.measure.overlap import dice
from ctatlas.volume import Grid, MaskChoices, Segmentation, Volume, read, read_segmentation, segmentation_kind, write
from ctatlas.volume.reading import READERS, kind_at
from ctatlas.volume.writing import SEGMENTATION_WRITERS, VOLUME_WRITERS
from tests.support_command import Terminal
from tests.volume.formats.dicom.phantom import oblique
from tests.volume.marked import COLUMNS, MASKS_FOR_OTHERS, ROWS, SCANS_OF_OTHERS, SLICES, Lying

WITHIN_MM = 1e-4
SHAPE = (COLUMNS, ROWS, SLICES)
SCANS_IN = [(kind, ending) for kind in READERS for ending in SCANS_OF_OTHERS[kind][0]]
SCANS_OUT = [(kind, ending) for kind, writer in VOLUME_WRITERS.items() for ending in writer.endings]
MASKS_OUT = [(kind, ending) for kind, writer in SEGMENTATION_WRITERS.items() for ending in writer.endings]
DRAWN_AS_LINES = "rtstruct"


@dataclass(frozen=True)
class Patient(Lying):
    """An oblique scan without two equal distances, odd sizes, a value of its own in nearly every voxel."""

    def hu(self) -> np.ndarray:
        return np.random.default_rng(8).integers(-1024, 3072, SHAPE).astype(np.int16)

    @property
    def grid(self) -> Grid:
        return Grid(SHAPE, self.ras)


PATIENT = Patient(*oblique())


def organs() -> Segmentation:
    """Return organs that do not overlap, in pieces and with holes, and one that was looked for in vain."""
    noise = np.random.default_rng(9).random(SHAPE)
    masks = {"liver": noise < 0.3, "kidney_left": noise > 0.8, "spleen": np.zeros(SHAPE, bool)}
    masks["aorta"] = (noise > 0.5) & (noise < 0.55)
    return Segmentation.from_masks(PATIENT.grid, masks)


def check_scan(found: Volume) -> None:
    assert np.array_equal(found.array, PATIENT.hu())
    assert found.array.dtype == np.int16
    assert found.grid.same_place(PATIENT.grid, WITHIN_MM)


def check_masks(found: Segmentation, *kinds: str) -> None:
    """Demand the very voxels, or where a file holds lines the Dice that is promised for them."""
    told = organs()
    assert set(found.names) == set(told.names)
    assert found.grid.same_place(told.grid, WITHIN_MM)
    for name, mask in told.items():
        if DRAWN_AS_LINES in kinds and mask.any():
            assert dice(found.mask(name), mask) >= 0.995
        else:
            assert np.array_equal(found.mask(name), mask), name


def converted(ctatlas: Terminal, source: Path, out: Path, *words: object) -> dict[str, object]:
    out.parent.mkdir(exist_ok=True)
    done = ctatlas("convert", source, out, "--json", *words)
    assert done.code == 0, done.err
    (case,) = done.json["cases"]
    assert done.err == ""
    return dict(case)


@pytest.mark.parametrize(("target", "out"), SCANS_OUT)
@pytest.mark.parametrize(("kind", "ending"), SCANS_IN)
def test_scans_there_and_back(ctatlas: Terminal, tmp_path: Path, kind: str, ending: str, target: str, out: str) -> None:
    SCANS_OF_OTHERS[kind][1](PATIENT, tmp_path / f"a{ending}")
    case = converted(ctatlas, tmp_path / f"a{ending}", tmp_path / f"b{out}")
    assert (case["from"], case["to"], kind_at(tmp_path / f"b{out}")) == (kind, target, target)
    check_scan(read(tmp_path / f"b{out}"))
    back = ending if ending in dict(map(reversed, SCANS_OUT)) else ".nii.gz"  # type: ignore[arg-type]
    converted(ctatlas, tmp_path / f"b{out}", tmp_path / f"c{back}")
    check_scan(read(tmp_path / f"c{back}"))


@pytest.mark.parametrize(
    ("kind", "ending", "packing"),
    [(*scan, "zip") for scan in SCANS_IN]
    + [("nrrd", ".nhdr", packing) for packing in ("tar", "gztar", "bztar", "xztar")],
)
def test_scans_out_of_archives(ctatlas: Terminal, tmp_path: Path, kind: str, ending: str, packing: str) -> None:
    (tmp_path / "sent" / "deep").mkdir(parents=True)
    SCANS_OF_OTHERS[kind][1](PATIENT, tmp_path / "sent" / "deep" / f"a{ending}")
    packed = shutil.make_archive(str(tmp_path / "sent"), packing, tmp_path / "sent")
    assert converted(ctatlas, Path(packed), tmp_path / "b.nii.gz")["from"] == kind
    check_scan(read(tmp_path / "b.nii.gz"))


@pytest.mark.parametrize("second", SEGMENTATION_WRITERS)
@pytest.mark.parametrize("first", SEGMENTATION_WRITERS)
def test_masks_there_and_back(ctatlas: Terminal, tmp_path: Path, first: str, second: str) -> None:
    series = PATIENT.series(tmp_path / "ct")
    a, b, c = (
        tmp_path / step / MASKS_FOR_OTHERS[kind][0] for step, kind in zip("abc", (first, second, first), strict=True)
    )
    a.parent.mkdir()
    write(organs(), a, MaskChoices(scan=read(series), source=series), kind=first)
    assert converted(ctatlas, a, b, "--reference", series, "--as", second)["to"] == second
    check_masks(read_segmentation(b, scan=read(series), source=series), first, second)
    converted(ctatlas, b, c, "--reference", series, "--as", first)
    check_masks(read_segmentation(c, scan=read(series), source=series), first, second)


@pytest.mark.parametrize(("kind", "ending"), [*MASKS_OUT, ("masks", "")])
def test_the_ending_chooses_the_format_of_masks(ctatlas: Terminal, tmp_path: Path, kind: str, ending: str) -> None:
    series = PATIENT.series(tmp_path / "ct")
    write(organs(), tmp_path / "a.seg.nrrd")
    case = converted(ctatlas, tmp_path / "a.seg.nrrd", tmp_path / f"b{ending}", "--reference", series)
    assert (case["to"], segmentation_kind(tmp_path / f"b{ending}")) == (kind, kind)
    check_masks(read_segmentation(tmp_path / f"b{ending}", scan=read(series), source=series), kind)


@pytest.mark.parametrize("kind", SEGMENTATION_WRITERS)
def test_masks_that_need_no_scan(ctatlas: Terminal, tmp_path: Path, kind: str) -> None:
    """Only DICOM objects refer to images; all else stands for itself, whatever the order of its axes."""
    series = PATIENT.series(tmp_path / "ct")
    name = MASKS_FOR_OTHERS[kind][0]
    (tmp_path / "a").mkdir()
    write(organs().reoriented("PIR"), tmp_path / "a" / name, MaskChoices(scan=read(series), source=series), kind=kind)
    done = ctatlas("convert", tmp_path / "a" / name, tmp_path / "b.seg.nrrd")
    if kind == DRAWN_AS_LINES:
        assert (done.code, "--reference" in done.complaint) == (2, True)
        return
    assert done.code == 0
    check_masks(read_segmentation(tmp_path / "b.seg.nrrd", PATIENT.grid))


@pytest.mark.parametrize(("packing", "deep"), [("zip", ""), ("gztar", "deep/er")])
@pytest.mark.parametrize("kind", SEGMENTATION_WRITERS)
def test_masks_out_of_folders_and_archives(
    ctatlas: Terminal, tmp_path: Path, kind: str, deep: str, packing: str
) -> None:
    series = PATIENT.series(tmp_path / "ct")
    sent = tmp_path / "sent"
    (sent / deep).mkdir(parents=True)
    out = sent / deep / ("" if kind == "masks" else MASKS_FOR_OTHERS[kind][0])
    write(organs(), out, MaskChoices(scan=read(series), source=series), kind=kind)
    packed = shutil.make_archive(str(sent), packing, sent)
    for number, place in enumerate((sent, Path(packed))):
        converted(ctatlas, place, tmp_path / f"{number}.seg.nrrd", "--reference", series)
        check_masks(read_segmentation(tmp_path / f"{number}.seg.nrrd"), kind)


def test_a_case_is_a_scan_that_has_masks(ctatlas: Terminal, tmp_path: Path) -> None:
    case = tmp_path / "sent" / "case"
    (case / "segmentations").mkdir(parents=True)
    write(Volume(PATIENT.hu(), PATIENT.grid), case / "ct.nii.gz")
    write(organs(), case / "segmentations")
    packed = shutil.make_archive(str(tmp_path / "sent"), "zip", tmp_path / "sent")
    for number, place in enumerate((case, tmp_path / "sent", Path(packed))):
        assert converted(ctatlas, place, tmp_path / f"{number}.nrrd")["kind"] == "scan"
        assert converted(ctatlas, place, tmp_path / f"{number}.seg.nrrd")["kind"] == "masks"
        check_scan(read(tmp_path / f"{number}.nrrd"))
        check_masks(read_segmentation(tmp_path / f"{number}.seg.nrrd"))


def test_the_manual_lists_every_ending_and_format(ctatlas: Terminal) -> None:
    """And the help and the page of commands name every format of `--as`."""
    docs = Path(__file__).parents[2] / "docs"
    section = (docs / "formats.md").read_text(encoding="utf-8").partition("\n## convert\n")[2].partition("\n## ")[0]
    table = {word for line in section.splitlines() if line.startswith("|") for word in re.findall(r"`([^` ]+)`", line)}
    commands = (docs / "commands.md").read_text(encoding="utf-8").partition("\n## convert\n")[2].partition("\n## ")[0]
    said = " ".join(re.sub(r"[│|\s]+", " ", ctatlas("convert", "--help").out).split())
    kinds = {*VOLUME_WRITERS, *SEGMENTATION_WRITERS}
    assert {ending for _, ending in (*SCANS_OUT, *MASKS_OUT)} <= table
    assert kinds - table - set(re.findall(r"--as ([\w-]+)", section)) == set()
    assert [kind for kind in kinds if f"`{kind}`" not in commands] == []
    assert [kind for kind in kinds if kind not in said] == []
