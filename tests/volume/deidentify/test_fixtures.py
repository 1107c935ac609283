"""Real files: what comes out is read to the same voxels at the same place, and no standard is broken that was not."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, read
from ctatlas.volume.deidentify import Key, deidentify, plan
from ctatlas.volume.formats.dicom.files import quietly

KEY = Key(b"fixtures" * 4)
SERIES = {  # folder of dicom/series -> how to read it
    "dcmqi_ct_3slice": Choices(),
    "dcmqi_23x38x3": Choices(),
    "ge_missing_slice": Choices(repair=True),
    "ge_tilt_variable_spacing": Choices(repair=True),
    "philips_tilt_minus18": Choices(repair=True),
    "rt_utils_oblique": Choices(),
    "siemens_tilt_no_tag": Choices(repair=True),
}


@pytest.fixture
def fixtures(shared_data: Path) -> Path:
    return shared_data / "fixtures"


def read_or_refusal(place: Path, choices: Choices) -> object:
    try:
        return read(place, choices)
    except ScanError as error:
        return re.sub(r"\d[\d.]{15,}|[^ ]*[/.][^ ]*", "…", str(error))


@pytest.mark.parametrize("name", SERIES)
def test_a_series_is_read_to_the_same_scan(fixtures: Path, tmp_path: Path, name: str) -> None:
    source = fixtures / "dicom" / "series" / name
    if name == "dcmqi_23x38x3":  # the same slices twice, single and multi-frame, and masks
        source = Path(
            shutil.copytree(source, tmp_path / "in", ignore=shutil.ignore_patterns("multiframe", "seg", "nrrd"))
        )
    report = deidentify(source, tmp_path / "out", KEY, allow_head=True)
    assert report.refused == ()
    old, new = (read_or_refusal(place, SERIES[name]) for place in (source, tmp_path / "out"))
    if isinstance(old, str):
        assert new == old
        return
    assert np.array_equal(new.array, old.array)
    assert np.array_equal(new.grid.affine, old.grid.affine)
    assert [one.position_mm for one in new.facts.slices] == [one.position_mm for one in old.facts.slices]
    assert {one.instance_uid for one in new.facts.slices}.isdisjoint(one.instance_uid for one in old.facts.slices)


def test_most_of_these_series_are_read_at_all(fixtures: Path) -> None:
    found = [
        read_or_refusal(fixtures / "dicom" / "series" / name, SERIES[name]) for name in SERIES if name[:5] != "dcmqi"
    ]
    assert sum(not isinstance(one, str) for one in found) >= 3


def test_a_study_of_the_head_is_refused_unless_wanted(fixtures: Path) -> None:
    study = fixtures / "dicom" / "series" / "philips_study_mixed"
    wanted = plan(study, KEY)
    assert wanted.jobs == ()
    assert len(wanted.refused) == 311
    reasons = Counter(" ".join(one.reason.split()[:4]) for one in plan(study, KEY, allow_head=True).refused)
    assert reasons == {"is an object of": 2}  # secondary captures, I40 with the patient's name burned in


def test_burned_in_text_is_refused_even_in_a_ct_object(fixtures: Path, tmp_path: Path) -> None:
    with quietly():
        screen = dcmread(fixtures / "dicom" / "series" / "philips_study_mixed" / "S4010" / "I40")
        assert screen.BurnedInAnnotation == "YES"
        screen.SOPClassUID = screen.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        screen.save_as(tmp_path / "I40")
    (refused,) = plan(tmp_path / "I40", KEY, allow_head=True).refused
    assert "text burned into its pixels" in refused.reason


def dicom_files(fixtures: Path) -> list[Path]:
    """Return one file of each folder of a series, and every single file."""
    found: list[Path] = []
    for folder in sorted(path for path in (fixtures / "dicom").rglob("*") if path.is_dir()):
        files = sorted(path for path in folder.iterdir() if path.is_file())
        found += files[:1] if "series" in folder.parts else files
    return found


@pytest.fixture(params=[pytest.param(1, marks=pytest.mark.slow), 5], ids=["all files", "every fifth file"])
def made(request: pytest.FixtureRequest, fixtures: Path, tmp_path: Path) -> list[tuple[Path, Path]]:
    """De-identify each file by itself, and return pairs of old and new."""
    pairs = []
    for number, path in enumerate(dicom_files(fixtures)[:: request.param]):
        try:
            report = deidentify(path, tmp_path / str(number), KEY, allow_head=True)
        except ScanError:
            continue
        pairs += [(path, tmp_path / str(number) / one.file) for one in report.written if one.file.endswith(".dcm")]
    assert len(pairs) * request.param > 75
    return pairs


def test_files_keep_their_pixels_and_stay_valid(made: list[tuple[Path, Path]]) -> None:
    for old, new in made:
        _check_pixels(old, new)
    if not shutil.which("dciodvfy"):
        pytest.skip("dciodvfy of dicom3tools is not installed")
    assert {old.name: more for old, new in made if (more := dict(errors_of(new) - errors_of(old)))} == {}


def _check_pixels(old: Path, new: Path) -> None:
    with quietly():
        before, after = dcmread(old, force=True), dcmread(new)
        for keyword in ("PixelData", "FloatPixelData"):
            if keyword in before:
                assert len(after[keyword].value) >= 0.97 * len(before[keyword].value)
                assert before[keyword].value.startswith(after[keyword].value[:-1])
        assert after.file_meta.TransferSyntaxUID == before.file_meta.get(
            "TransferSyntaxUID", after.file_meta.TransferSyntaxUID
        )
        assert "Manufacturer" not in before or before.PatientID in ("", None) or after.PatientID != before.PatientID
        assert not any(element.tag.is_private for element in after.iterall())


def errors_of(path: Path) -> Counter[str]:
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, text=True, errors="replace", check=False)
    lines = (done.stdout + done.stderr).splitlines()
    return Counter(re.sub(r"<[\d.]+>", "", line) for line in lines if line.startswith("Error"))
