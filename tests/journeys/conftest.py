from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.volume import Volume, write_volume
from tests.support_command import Terminal
from tests.support_scans import torso, torso_model


@pytest.fixture
def ctatlas(capsys: pytest.CaptureFixture[str]) -> Terminal:
    """Call the program: `ctatlas("segment", scan, out)`."""
    return Terminal(capsys)


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return torso_model(tmp_path_factory.mktemp("models") / "torso")


@pytest.fixture(scope="session")
def volume() -> Volume:
    return torso()


@pytest.fixture
def scan(tmp_path: Path, volume: Volume) -> Path:
    path = tmp_path / "scan.nii.gz"
    write_volume(volume, path)
    return path
