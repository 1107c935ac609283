"""What a folder of nnU-Net doesn't say of its model and a person does, in a file beside the plans."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from ctatlas.errors import ModelError
from ctatlas.volume.orientation import turn_between

NOTE_FILE = "ctatlas.toml"


class Note(BaseModel):
    """A `ctatlas.toml`; all of it may be left out.

    Attributes
    ----------
    orientation : str
        How the scans lay that the model was trained with, as RAS: the sides toward which the axes x, y, z grow.
    license, citation, description, not_for : str
    commercial_use : "yes", "no" or "unknown"
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    orientation: str | None = None
    license: str = ""
    citation: str = ""
    description: str = ""
    not_for: str = ""
    commercial_use: Literal["yes", "no", "unknown"] = "unknown"

    @field_validator("orientation")
    @classmethod
    def _three_directions(cls, code: str | None) -> str | None:
        if code is not None:
            turn_between("RAS", code)
        return code


def read_note(folder: Path) -> Note:
    """Read the note in a model folder; an empty one where there is none.

    Raises
    ------
    ModelError
        When it can't be read, or says what is not known here.
    """
    path = folder / NOTE_FILE
    try:
        return Note.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return Note()
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ModelError(f"{path}: can't be read as a note on a model: {error}") from None
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ModelError(f"{path}: {faults}") from None
