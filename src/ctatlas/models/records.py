"""What is known of weights only since they were fetched: a record in the folder of their card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ctatlas.atomic import whole_file
from ctatlas.errors import ModelError
from ctatlas.models.cards import NAME, CommercialUse, ModelCard

RECORD_FILE = "weights.lock"


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class FileRecord(_Table):
    """One file, as it was when it came."""

    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=0)]


class Record(_Table):
    """What was fetched: under which name, which files, from where, under which terms."""

    name: Annotated[str, Field(pattern=NAME)]
    files: dict[str, FileRecord]  # by their path within the folder
    source: str = ""  # the address that was asked, or the name of the file that was imported
    revision: str = ""  # of a repository, where the server tells it
    fetched: str = ""  # UTC, ISO 8601
    license: str = ""
    commercial_use: CommercialUse = "unknown"


def read_record(folder: Path) -> Record | None:
    """Read the record of a model's folder; None where there is none.

    Raises
    ------
    ModelError
        When the record can't be read.
    """
    path = folder / RECORD_FILE
    try:
        return Record.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        reason = "; ".join(fault["msg"] for fault in error.errors()) if isinstance(error, ValidationError) else error
        raise ModelError(f"{path}: can't be read as a record of weights ({reason}); get the model again") from None


def write_record(folder: Path, record: Record) -> None:
    """Write the record of a model's folder.

    Raises
    ------
    OutputError
        When the folder can't be written to.
    """
    with whole_file(folder / RECORD_FILE) as file:
        file.write(record.model_dump_json(indent=1).encode() + b"\n")


def with_recorded_hash(card: ModelCard, folder: Path) -> ModelCard:
    """Give a card that names no hash the recorded one of its file; the card's own always counts more."""
    if card.weights.sha256 is not None or (record := read_record(folder)) is None:
        return card
    if (file := record.files.get(card.weights.file)) is None:
        return card
    return card.model_copy(update={"weights": card.weights.model_copy(update={"sha256": file.sha256})})
