from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.commands import checks
from tests.support_command import Terminal
from tests.support_models import tiny_model


def states(done: object) -> dict[str, str]:
    return {check["name"]: check["state"] for check in done.json["checks"]}  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CTATLAS_HOME", str(tmp_path))
    return tmp_path


def test_a_sound_installation_is_able_to_segment(ctatlas: Terminal) -> None:
    done = ctatlas("doctor", "--json")
    assert done.code == 0
    assert done.json["able_to_segment"]
    found = states(done)
    assert "broken" not in found.values()
    assert {"python", "packages", "compiled code", "DICOM", "backend onnxruntime", "model ctatlas/base"} <= set(found)


def test_a_missing_extra_is_told_with_its_remedy(ctatlas: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["numpy", 'nothing-at-all>=2; extra == "dreams"'])
    done = ctatlas("doctor")
    assert done.code == 0
    assert "missing extra dreams: no nothing-at-all → pip install --upgrade 'ctatlas[dreams]'" in done.out


def test_an_outdated_package_is_broken(ctatlas: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.requires", lambda _: ["numpy>=99"])
    done = ctatlas("doctor")
    assert done.code == 2
    assert "BROKEN  packages: numpy" in done.out
    assert "wanted >=99" in done.out


def test_a_shared_library_that_is_missing_is_told(ctatlas: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "_COMPILED", ("numpy", "libgomp_is_missing"))
    done = ctatlas("doctor", "--json")
    assert done.code == 2
    assert states(done)["compiled code"] == "broken"


def test_damaged_weights_are_told(ctatlas: Terminal, home: Path) -> None:
    model = tiny_model(home / "models" / "tiny")
    assert states(ctatlas("doctor", "--json"))["model test/tiny"] == "ok"
    (model / "tiny.onnx").write_bytes(b"damaged")
    done = ctatlas("doctor", "--json")
    assert done.code == 2
    assert states(done)["model test/tiny"] == "broken"


def test_a_wrong_setting_is_told(ctatlas: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTATLAS_THREADS", "many")
    done = ctatlas("doctor")
    assert done.code == 2
    assert "BROKEN  settings" in done.out


def test_caches_that_cannot_be_written_are_told(ctatlas: Terminal, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (home / "file").touch()
    monkeypatch.setenv("CTATLAS_HOME", str(home / "file" / "caches"))
    assert states(ctatlas("doctor", "--json"))["caches"] == "missing"
