"""Take out of a zip what a model needs: nothing outside its folder, nothing larger than it says, no links."""

from __future__ import annotations

import shutil
import stat
import zipfile
from pathlib import Path, PurePosixPath
from zipfile import ZipFile, ZipInfo

from ctatlas.errors import ModelError, OutputError

# What models are made of; pictures, logs and pickles of plans stay where they are.
_ENDINGS = {".json", ".toml", ".pth", ".pt", ".onnx", ".safetensors", ".data", ".model"}
_AT_MOST_FILES = 5000
_AT_MOST_BYTES = 64 * 1024**3
# Weights hardly shrink; what is packed ever so much smaller than it is was made to fill a disk.
_AT_MOST_RATIO, _SMALL_BYTES = 20, 64 * 1024**2
_SPARE_BYTES = 64 * 1024**2
_STEP = 1024**2


def is_of_a_model(name: PurePosixPath) -> bool:
    """Tell by its name whether a file may belong to a model."""
    hidden = any(part.startswith(".") or part == "__MACOSX" for part in name.parts)
    return not hidden and name.suffix in _ENDINGS


def is_torch_file(path: Path) -> bool:
    """Tell whether a zip is a checkpoint of torch itself, which writes zips, too."""
    return any(name.endswith(("/data.pkl", "data.pkl")) for name in names_in(path))


def names_in(path: Path) -> list[str]:
    """Return the names of what a zip holds; none for what is no zip.

    Raises
    ------
    ModelError
        When it begins as a zip and is cut short.
    """
    if not zipfile.is_zipfile(path):
        with path.open("rb") as file:
            if file.read(4) == b"PK\x03\x04":
                raise ModelError(f"{path}: a zip whose end is missing; get it again")
        return []
    with _opened(path) as archive:
        return archive.namelist()


def unpack(path: Path, folder: Path) -> list[Path]:
    """Unpack what a model needs into an empty folder, and return the files.

    Raises
    ------
    ModelError
        When a name leaves the folder or stands twice, an entry is a link or encrypted, all would grow beyond what
        weights do, or the archive is damaged.
    OutputError
        When there is no room.
    """
    with _opened(path) as archive:
        wanted = [each for each in archive.infolist() if _is_wanted(path, each)]
        _refuse_size(path, wanted, folder)
        _refuse_twins(path, wanted)
        try:
            return [_unpack_one(archive, each, folder) for each in wanted]
        except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError, ValueError) as error:
            raise ModelError(f"{path}: a damaged zip ({error}); get it again") from None
        except OSError as error:
            raise OutputError(f"{folder}: can't be unpacked into: {error.strerror or error}") from None


def _opened(path: Path) -> ZipFile:
    try:
        return ZipFile(path)
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise ModelError(f"{path}: a damaged zip ({error}); get it again") from None


def _is_wanted(path: Path, each: ZipInfo) -> bool:
    """Tell whether an entry belongs to a model; refuse the archive where a name is hostile."""
    name = PurePosixPath(each.filename)
    parts = name.parts
    if name.is_absolute() or ".." in parts or "\\" in each.filename or ":" in each.filename or len(str(name)) > 400:
        raise ModelError(f"{path}: holds {each.filename[:80]!r}, which would leave its folder; refused")
    if not each.filename.isprintable():
        raise ModelError(f"{path}: holds a name that can't be printed ({each.filename[:80]!r}); refused")
    if stat.S_ISLNK(each.external_attr >> 16):
        raise ModelError(f"{path}: holds a link ({name}); refused")
    if each.flag_bits & 0x1:
        raise ModelError(f"{path}: {name} is encrypted; unpack it by hand and import the folder")
    return not each.is_dir() and is_of_a_model(name)


def _refuse_size(path: Path, wanted: list[ZipInfo], folder: Path) -> None:
    size, packed = sum(each.file_size for each in wanted), sum(each.compress_size for each in wanted)
    if len(wanted) > _AT_MOST_FILES:
        raise ModelError(f"{path}: {len(wanted):,} files; at most {_AT_MOST_FILES:,} are unpacked")
    if size > _AT_MOST_BYTES or (size > _SMALL_BYTES and size > _AT_MOST_RATIO * packed):
        raise ModelError(f"{path}: {packed:,} bytes would become {size:,}; weights don't shrink like that; refused")
    folder.mkdir(parents=True, exist_ok=True)
    if (free := shutil.disk_usage(folder).free - _SPARE_BYTES) < size:
        raise OutputError(f"{folder}: {path.name} needs {size:,} bytes, {max(free, 0):,} are free; make room")


def _refuse_twins(path: Path, wanted: list[ZipInfo]) -> None:
    names = [each.filename.casefold() for each in wanted]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ModelError(f"{path}: holds {twice[0]} twice; refused")


def _unpack_one(archive: ZipFile, each: ZipInfo, folder: Path) -> Path:
    target = folder / PurePosixPath(each.filename)
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with archive.open(each) as source, target.open("xb") as copy:
        while piece := source.read(_STEP):
            written += len(piece)
            if written > each.file_size:  # what it says of itself need not be so
                raise zipfile.BadZipFile(f"{each.filename} is larger than it says")
            copy.write(piece)
    return target
