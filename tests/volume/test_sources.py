from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.errors import ScanError
from ctatlas.volume import Choices, Volume, safe_name, scans_in, write_array_uint8, write_mask, write_volume
from tests.volume.formats.dicom.phantom import Phantom
from tests.volume.strategies import counted, oblique_grid


def ct(path: Path) -> Path:
    """Write a small scan."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_volume(Volume(counted(oblique_grid()), oblique_grid()), path)
    return path


def mask(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mask(counted(oblique_grid()) > 0, oblique_grid(), path)


def study(uid: str, series: str = "1.2.3") -> Phantom:
    return Phantom(series_uid=series, change=lambda _, dataset: setattr(dataset, "StudyInstanceUID", uid))


def found(place: Path) -> dict[str, str]:
    """Return case -> path below the place."""
    return {source.case: source.path.relative_to(place).as_posix() for source in scans_in(place)}


def test_a_file_is_one_scan(tmp_path: Path) -> None:
    (source,) = scans_in(ct(tmp_path / "Case 7.nii.gz"))
    assert source.case == "Case_7"
    assert np.array_equal(source.read().array, counted(oblique_grid()))


def test_a_dicom_folder_is_one_scan(tmp_path: Path) -> None:
    (source,) = scans_in(Phantom().write(tmp_path / "patient"), Choices(series="4"))
    assert (source.case, source.path, source.choices.series) == ("patient", tmp_path / "patient", "4")
    assert source.read().grid.shape == (7, 9, 6)


def test_series_of_one_study_in_sub_folders_are_one_scan(tmp_path: Path) -> None:
    study("1.2", "1.2.3").write(tmp_path / "study" / "S1")
    study("1.2", "1.2.4").write(tmp_path / "study" / "deep" / "S2")
    (source,) = scans_in(tmp_path / "study")
    assert source.path == tmp_path / "study"
    with pytest.raises(ScanError, match="2 CT series"):
        source.read()


def test_a_wrapped_dicom_folder_is_named_after_its_innermost(tmp_path: Path) -> None:
    Phantom().write(tmp_path / "download" / "case-1")
    assert found(tmp_path / "download") == {"case-1": "case-1"}


def test_folders_of_several_studies_are_several_scans(tmp_path: Path) -> None:
    study("1.2.1").write(tmp_path / "anna" / "2024" / "ct")
    study("1.2.2").write(tmp_path / "anna" / "2025")
    study("1.2.3").write(tmp_path / "ben")
    assert found(tmp_path) == {"anna_2024_ct": "anna/2024/ct", "anna_2025": "anna/2025", "ben": "ben"}


def test_folders_that_name_no_study_are_several_scans(tmp_path: Path) -> None:
    study("").write(tmp_path / "a")
    study("").write(tmp_path / "b")
    assert found(tmp_path) == {"a": "a", "b": "b"}


def test_case_folders_are_scans_and_their_masks_are_not(tmp_path: Path) -> None:
    ct(tmp_path / "BDMAP_00000001" / "ct.nii.gz")
    mask(tmp_path / "BDMAP_00000001" / "segmentations" / "liver.nii.gz")
    ct(tmp_path / "BDMAP_00000001" / "another.nii.gz")
    ct(tmp_path / "batch" / "BDMAP_00000002" / "ct.nii")
    assert found(tmp_path) == {
        "BDMAP_00000001": "BDMAP_00000001/ct.nii.gz",
        "batch_BDMAP_00000002": "batch/BDMAP_00000002/ct.nii",
    }


def test_one_case_folder_bears_its_own_name(tmp_path: Path) -> None:
    ct(tmp_path / "case" / "ct.nii.gz")
    assert found(tmp_path / "case") == {"case": "ct.nii.gz"}


def test_files_are_scans_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b.nii.gz", "a.nii", "c/d.nii.gz"):
        ct(tmp_path / name)
    assert list(found(tmp_path).items()) == [("a", "a.nii"), ("b", "b.nii.gz"), ("c_d", "c/d.nii.gz")]


def test_files_and_dicom_folders_side_by_side(tmp_path: Path) -> None:
    ct(tmp_path / "a.nii.gz")
    study("1.2.1").write(tmp_path / "b")
    study("1.2.2").write(tmp_path / "c")
    assert found(tmp_path) == {"a": "a.nii.gz", "b": "b", "c": "c"}


def test_a_nifti_below_a_dicom_folder_is_not_lost(tmp_path: Path) -> None:
    Phantom().write(tmp_path / "case")
    ct(tmp_path / "case" / "converted" / "old.nii.gz")
    assert found(tmp_path / "case") == {"case": ".", "converted_old": "converted/old.nii.gz"}


def test_masks_hidden_names_and_other_files_are_passed_over(tmp_path: Path) -> None:
    ct(tmp_path / "a.nii.gz")
    ct(tmp_path / "._a.nii.gz")
    ct(tmp_path / ".cache" / "b.nii.gz")
    mask(tmp_path / "a_liver.nii.gz")
    write_array_uint8(counted(oblique_grid()).astype(np.uint8), oblique_grid(), tmp_path / "a_probabilities.nii.gz")
    (tmp_path / "notes.txt").write_text("x")
    assert found(tmp_path) == {"a": "a.nii.gz"}


def test_what_is_broken_or_not_read_is_listed_and_refused_when_read(tmp_path: Path) -> None:
    (tmp_path / "broken.nii.gz").write_bytes(b"no scan")
    (tmp_path / "packed.zip").write_bytes(b"PK\x03\x04")
    assert found(tmp_path) == {"broken": "broken.nii.gz", "packed": "packed.zip"}
    with pytest.raises(ScanError):
        scans_in(tmp_path)[0].read()
    with pytest.raises(ScanError, match=r"packed\.zip: the archive is cut off or damaged"):
        scans_in(tmp_path)[1].read()


def test_names_that_become_alike_get_numbers(tmp_path: Path) -> None:
    for name in ("a b.nii.gz", "a_b.nii.gz", "A+B.nii.gz"):
        ct(tmp_path / name)
    assert sorted(found(tmp_path)) == ["A_B", "a_b_2", "a_b_3"]


def test_links_to_folders_are_not_followed(tmp_path: Path) -> None:
    ct(tmp_path / "a" / "x.nii.gz")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    assert found(tmp_path / "a") == {"x": "x.nii.gz"}


@pytest.mark.parametrize(
    "make",
    [lambda _: None, lambda folder: mask(folder / "liver.nii.gz"), lambda folder: (folder / "a.txt").write_text("x")],
)
def test_a_folder_without_scan_is_refused(tmp_path: Path, make) -> None:
    make(tmp_path)
    with pytest.raises(ScanError, match="holds no CT scan"):
        scans_in(tmp_path)


def test_a_missing_place_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScanError, match="no such file or folder"):
        scans_in(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("../../etc/passwd", "etc_passwd"),
        ("a/b\\c:d", "a_b_c_d"),
        ("Müller^Jörg", "Muller_Jorg"),
        ("", "scan"),
        ("...", "scan"),
        ("-rf", "rf"),
        ("con", "con_"),
        ("COM1.nii", "COM1.nii_"),
        ("x" * 300, "x" * 80),
        ("a\n\x1bb", "a_b"),
        ("患者", "scan"),
        ("BDMAP_00000001", "BDMAP_00000001"),
        ("s0011-2.5mm", "s0011-2.5mm"),
        ("$(reboot)", "reboot"),
    ],
)
def test_safe_names(text: str, name: str) -> None:
    assert safe_name(text) == name


@given(st.text(max_size=120))
def test_any_text_becomes_a_safe_name(text: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,80}", safe_name(text))
    assert safe_name(safe_name(text)) == safe_name(text)
