from __future__ import annotations

from pathlib import Path

import pytest

from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_file
from ctatlas.models import card, load
from ctatlas.models.records import RECORD_FILE, FileRecord, Record, read_record, write_record
from tests.support_models import tiny_model


@pytest.fixture
def unhashed(tmp_path: Path) -> Path:
    """Return a model's folder whose card doesn't say the hash of its weights."""
    folder = tiny_model(tmp_path / "tiny")
    text = (folder / "card.toml").read_text(encoding="utf-8")
    kept = [line for line in text.splitlines() if not line.startswith("sha256")]
    (folder / "card.toml").write_text("\n".join(kept), encoding="utf-8")
    return folder


def record(folder: Path, *, file: str = "tiny.onnx", sha256: str = "", **other: str) -> Record:
    files = {file: FileRecord(sha256=sha256 or sha256_file(folder / "tiny.onnx"), bytes=3)}
    return Record(name="test/tiny", files=files, **other)


def test_a_record_is_read_as_it_was_written(unhashed: Path) -> None:
    written = record(unhashed, revision="abc", fetched="2026-01-02T03:04:05Z", license="CC0-1.0")
    write_record(unhashed, written)
    assert read_record(unhashed) == written


def test_weights_of_unknown_hash_are_not_loaded(unhashed: Path) -> None:
    with pytest.raises(ModelError, match=r"neither its card nor a record .* 'ctatlas models import"):
        load(unhashed)


def test_the_recorded_hash_stands_in_for_the_cards(unhashed: Path) -> None:
    write_record(unhashed, record(unhashed))
    assert card(unhashed).weights.sha256 == sha256_file(unhashed / "tiny.onnx")
    assert load(unhashed).card == card(unhashed)


def test_weights_that_changed_since_are_refused(unhashed: Path) -> None:
    write_record(unhashed, record(unhashed, sha256="0" * 64))
    with pytest.raises(ModelError, match=r"sha256 is .*the file is damaged or of another version"):
        load(unhashed)


def test_the_record_of_another_file_says_nothing(unhashed: Path) -> None:
    write_record(unhashed, record(unhashed, file="other.onnx"))
    assert card(unhashed).weights.sha256 is None


def test_the_cards_own_hash_counts_more_than_the_record(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "tiny")
    write_record(folder, record(folder, sha256="0" * 64))
    assert load(folder).card.weights.sha256 == sha256_file(folder / "tiny.onnx")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"name": "a", "files": {"w": {"sha256": "12", "bytes": -1}}}', b"\xff"]
)
def test_a_broken_record_is_refused_in_one_line(unhashed: Path, content: bytes) -> None:
    (unhashed / RECORD_FILE).write_bytes(content)
    with pytest.raises(ModelError, match=r"weights\.lock: can't be read as a record of weights .*get the model again"):
        card(unhashed)
