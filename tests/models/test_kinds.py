from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from ctatlas.errors import InstallError, ModelError
from ctatlas.models import kinds


@pytest.mark.parametrize("kind", kinds.LOADERS)
def test_every_loader_can_be_called(kind: str) -> None:
    assert callable(kinds.loader(kind))


@pytest.mark.parametrize("kind", ["onnxruntime", "openvino"])
def test_every_backend_can_be_called(kind: str) -> None:
    pytest.importorskip(kind)
    assert callable(kinds.backend(kind))


def test_an_unknown_kind_lists_the_known() -> None:
    with pytest.raises(ModelError, match="no loader 'pickle'; known: monai, nnunet, onnx, universal"):
        kinds.loader("pickle")


def test_others_can_add_a_kind_but_not_replace_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = [EntryPoint("new", "json:loads", "ctatlas.loaders"), EntryPoint("onnx", "json:dumps", "ctatlas.loaders")]
    monkeypatch.setattr(kinds, "entry_points", lambda group: theirs if group == "ctatlas.loaders" else [])
    assert kinds.loader("new").__name__ == "loads"
    assert kinds.loader("onnx").__name__ == "load"


def test_a_loader_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(_module: str) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr(kinds, "import_module", missing)
    with pytest.raises(InstallError, match=r"the loader 'universal' needs torch, .*pip install 'ctatlas\[torch\]'"):
        kinds.loader("universal")
