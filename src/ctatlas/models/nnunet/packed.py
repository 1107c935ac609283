"""A model as nnU-Net packs it: a zip with or without the data set's folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from ctatlas.errors import ModelError
from ctatlas.models.fetch.archive import unpack
from ctatlas.models.nnunet.folder import is_nnunet_folder, open_folder


@contextmanager
def model_at(path: Path, configuration: str | None = None) -> Iterator[Path]:
    """Give the model folder at a path; what a zip holds is unpacked as long as the block lasts.

    Raises
    ------
    ModelError, OutputError
        When there is none, or several; when the zip is damaged or hostile, or there is no room.
    """
    if not path.is_file():
        yield open_folder(path, configuration).path
        return
    with TemporaryDirectory(prefix="ctatlas-") as place:
        unpack(path, Path(place))
        found = sorted(each.parent for each in Path(place).rglob("plans.json") if is_nnunet_folder(each.parent))
        if configuration and len(found) > 1:
            found = [each for each in found if each.name.endswith(f"__{configuration}")] or found
        if not found:
            raise ModelError(f"{path}: holds no model folder of nnU-Net (plans.json and dataset.json)")
        if len(found) > 1:
            names = ", ".join(each.name for each in found)
            raise ModelError(f"{path}: holds several models, choose by -c: {names}")
        yield found[0]
