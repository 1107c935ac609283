"""Decoding in child processes gives what decoding here gives, and a child that dies is one line."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless

from ctatlas.errors import ScanError
from ctatlas.volume import read
from ctatlas.volume.formats.dicom import processes
from tests.volume.formats.dicom.phantom import Phantom, set_stored
from tests.volume.formats.dicom.test_read import exact

if TYPE_CHECKING:
    from pydicom import Dataset

DECODING = "ctatlas.volume.formats.dicom.decoding"
PROCESSES = "ctatlas.volume.formats.dicom.processes"


@pytest.fixture(autouse=True)
def always_in_two_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTATLAS_THREADS", "2")
    monkeypatch.setattr(f"{DECODING}._SECONDS_A_PROCESS", 1e-9)


@pytest.fixture
def no_decoder_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let decoding fail unless it happens in a child."""

    def decode(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("ctatlas.volume.formats.dicom.pixels.decode", decode)


def compressed(change: Callable[[int, Dataset], None] = lambda _, __: None) -> Phantom:
    def compress(k: int, dataset: Dataset) -> None:
        dataset.PixelRepresentation = 0
        change(k, dataset)
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)

    return Phantom(7, change=compress)


@pytest.mark.usefixtures("no_decoder_here")
def test_one_value_that_does_not_fit_widens_all(tmp_path: Path) -> None:
    def change(k: int, dataset: Dataset) -> None:
        if k == 5:
            set_stored(dataset, np.full((dataset.Rows, dataset.Columns), 60_000))

    phantom = compressed(change)
    scan = read(phantom.write(tmp_path / "ct"))
    assert scan.array.dtype == np.float32
    assert (scan.array[:, :, 5] == 60_000 - 1024).all()
    for k in (0, 1, 2, 3, 4, 6):
        assert np.array_equal(scan.array[:, :, k].T, phantom.hu(k))


@pytest.mark.usefixtures("no_decoder_here")
def test_a_refusal_comes_through(tmp_path: Path) -> None:
    folder = compressed().write(tmp_path / "ct")
    data = (folder / "004.dcm").read_bytes()
    (folder / "004.dcm").write_bytes(data.replace(b"\xff\xf7", b"\xff\xf8"))
    with pytest.raises(ScanError, match=r"^004\.dcm: its pixels .* cannot be decoded: damaged JPEG stream"):
        read(folder)


def test_a_decoder_that_ends_its_process_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{PROCESSES}._CHILD", "import os; os.write(1, b'r'); os.abort()")
    with pytest.raises(ScanError, match=r"^000\.dcm: .* cannot be decoded: they ended the decoder") as caught:
        read(compressed().write(tmp_path / "ct"))
    assert "\n" not in str(caught.value)


def no_python(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(Path(__file__).parent / "python-that-is-not-there"))


def not_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{PROCESSES}._CHILD", "raise SystemExit(1)")


def embedded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/usr/bin/yes")


@pytest.mark.parametrize("hinder", [no_python, not_importable, embedded])
def test_where_no_child_comes_up_it_is_decoded_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hinder: Callable[[pytest.MonkeyPatch], None]
) -> None:
    hinder(monkeypatch)
    phantom = compressed()
    assert exact(read(phantom.write(tmp_path / "ct")), phantom)


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from ctatlas.volume import read
from ctatlas.volume.formats.dicom import decoding, pixels
print("begun")
decoding._SECONDS_A_PROCESS = 1e-9
del pixels.decode
np.save(sys.argv[2], read(Path(sys.argv[1])).array)
"""


def test_a_script_without_a_guard_runs_once(tmp_path: Path) -> None:
    phantom = compressed()
    folder = phantom.write(tmp_path / "ct")
    (tmp_path / "script.py").write_text(SCRIPT)
    command = [sys.executable, str(tmp_path / "script.py"), str(folder), str(tmp_path / "array.npy")]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "begun\n"
    assert np.array_equal(np.load(tmp_path / "array.npy")[:, :, 6].T, phantom.hu(6))


def test_a_few_images_are_decoded_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("CTATLAS_THREADS", "2")
    monkeypatch.setattr(processes, "_CHILD", "import os; os.write(1, b'r'); os.abort()")
    phantom = compressed()
    assert exact(read(phantom.write(tmp_path / "ct")), phantom)
