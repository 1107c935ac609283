from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path

import pytest
import torch

from ctatlas.errors import ModelError
from ctatlas.models.loaders.checkpoint import read_checkpoint
from tests.models.loaders.checkpoints import saved

WEIGHTS = {"a.weight": torch.arange(600.0).reshape(20, 30), "a.bias": torch.ones(3)}


class Command:
    """Leave a mark when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("zipped", [True, False])
def test_weights_come_back_by_name(tmp_path: Path, *, zipped: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"net": WEIGHTS, "epoch": 1}, path, _use_new_zipfile_serialization=zipped)
    found = read_checkpoint(path)
    assert list(found) == list(WEIGHTS)
    assert torch.equal(found["a.weight"], WEIGHTS["a.weight"])


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_checkpoint_is_named_and_not_run(tmp_path: Path, *, zipped: bool) -> None:
    path, mark = tmp_path / "weights.pth", tmp_path / "ran"
    torch.save({"net": WEIGHTS, "hook": Command(mark)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ModelError, match=r"weights\.pth: holds code \(\w+\.mkdir\), not weights alone; it was not run"):
        read_checkpoint(path)
    assert not mark.exists()


def test_a_bare_pickle_with_code_is_not_run_either(tmp_path: Path) -> None:
    path, mark = tmp_path / "weights.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps(Command(mark)))
    with pytest.raises(ModelError, match=r"weights\.pkl: "):
        read_checkpoint(path)
    assert not mark.exists()


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_said_to_be_cut(tmp_path: Path, *, zipped: bool, share: float) -> None:
    path = tmp_path / "weights.pth"
    torch.save(WEIGHTS, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ModelError, match="cut short or of another kind, get it again"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html><html>", "a web page, not weights"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "a pointer of Git LFS"),
        (b"\x1f\x8b nonsense", "cut short or of another kind"),
        (b"PK\x03\x04 nonsense", "its end is missing"),
    ],
)
def test_what_is_no_checkpoint_is_said_in_a_line(tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=said) as refused:
        read_checkpoint(path)
    assert len(str(refused.value)) < 400


def test_a_missing_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="No such file"):
        read_checkpoint(tmp_path / "weights.pth")


@pytest.mark.parametrize("content", [[1, 2], {"net": {"epoch": 3}}, {"epoch": 3}, torch.zeros(2)])
def test_a_file_without_weights_is_said(tmp_path: Path, content: object) -> None:
    with pytest.raises(ModelError, match="no weights in it; expected tensors by name"):
        read_checkpoint(saved(tmp_path / "weights.pth", content))


def test_packed_entries_are_refused_before_they_grow(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", {"a": torch.zeros(1_000_000)})
    with zipfile.ZipFile(path) as plain, zipfile.ZipFile(tmp_path / "packed", "w", zipfile.ZIP_DEFLATED) as packed:
        for name in plain.namelist():
            packed.writestr(name, plain.read(name))
    with pytest.raises(ModelError, match="packed entries"):
        read_checkpoint(tmp_path / "packed")


def test_a_program_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.ts"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model/constants.pkl", b"")
        archive.writestr("model/code/__torch__.py", b"")
    with pytest.raises(ModelError, match="TorchScript program"):
        read_checkpoint(path)


def test_tensors_that_claim_more_than_the_file_holds_are_refused(tmp_path: Path) -> None:
    vast = torch.zeros(1).expand(10**6, 10**6)
    with pytest.raises(ModelError, match="claim 4,000,000,000,000 bytes, the file holds 4"):
        read_checkpoint(saved(tmp_path / "weights.pth", {"a": vast}))


def test_tied_weights_are_no_such_claim(tmp_path: Path) -> None:
    tied = torch.ones(8)
    assert len(read_checkpoint(saved(tmp_path / "weights.pth", {"a": tied, "b": tied, "c": tied.view(2, 4)}))) == 3
