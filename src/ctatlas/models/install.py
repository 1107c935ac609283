"""Make a model of weights from elsewhere: a public checkpoint, an address, a file or a folder brought by hand.

The model is put together beside its place and moved there when it is whole; one process at a time does so for a name.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from ctatlas.errors import InstallError, ModelError, OutputError
from ctatlas.hashing import sha256_file
from ctatlas.locks import held
from ctatlas.models import registry
from ctatlas.models.cards import CARD_FILE, NAME, read_card
from ctatlas.models.catalogue import Entry, entries
from ctatlas.models.content import Brought, bring
from ctatlas.models.fetch import Expected, download, download_folder, is_folder, resolve
from ctatlas.models.fetch.address import safe_name
from ctatlas.models.nnunet import model_folders
from ctatlas.models.records import RECORD_FILE, FileRecord, Record, read_record, write_record
from ctatlas.models.tasks import tasks
from ctatlas.models.terms import Terms, refuse_unless_agreed
from ctatlas.progress import SILENT, Progress
from ctatlas.settings import settings

Tell = Callable[[str], None]
Consent = Callable[[str, Terms], None]


@dataclass(frozen=True, slots=True)
class Installed:
    """A model that is there now; `note` says what could not be made sure of."""

    name: str
    folder: Path
    record: Record
    was_there: bool = False
    note: str = ""


def terms_of(what: str, card: Path | None = None) -> Terms:
    """Return the terms of a public checkpoint or task, else those of the card that comes with an address.

    Raises
    ------
    ModelError
        When the card is broken.
    """
    if (entry := entries().get(what)) is not None:
        return Terms(entry.license, entry.license_url, entry.commercial_use)
    if (task := tasks().get(what)) is not None:
        return Terms(task.license, commercial_use=task.commercial_use)
    if card is None:
        return Terms("not known")
    found = read_card(card)
    return Terms(found.license, found.license_url, found.commercial_use)


def pull(
    what: str,
    *,
    name: str | None = None,
    card: Path | None = None,
    again: bool = False,
    progress: Progress = SILENT,
    tell: Tell = lambda _text: None,
) -> Installed:
    """Fetch a public checkpoint by its name, or a file by its address, and make a model of it.

    Parameters
    ----------
    what : str
        A name of `ctatlas.models.catalogue`, `https://…`, `hf://owner/repository[@revision]/file`, or what lies on the
        disk, which is imported.
    name : str, optional
        What to call it here.
    card : Path, optional
        The card of a file that no public checkpoint's card describes.
    again : bool
        Fetch it although it is there.
    progress : Progress, optional
    tell : callable, optional
        Hears that another process is waited for, and which sources did not answer.

    Raises
    ------
    ModelError
        When there is no such checkpoint, its terms were not agreed to, no source gives it, or it isn't what it should.
    InstallError, OutputError
        When no connection may be opened; when it can't be written down.
    """
    entry = entries().get(what)
    if entry is None and "://" not in what and Path(what).exists():
        return import_model(Path(what), name=name, card=card, again=again, tell=tell)
    if entry is None and "://" not in what:
        raise ModelError(f"no public checkpoint {what!r}; known: {', '.join(entries())}; or give https:// or hf://")
    if entry is not None and entry.use == "elsewhere":
        raise ModelError(f"{what}: ctatlas has no network for it; it lies at {', '.join(entry.sources)}")
    sources = entry.sources if entry else (what,)
    called = checked_name(name or (entry.name if entry else _name_of(_last_part(what))))
    terms = terms_of(what, card)
    refuse_unless_agreed(called, terms)
    with _place_for(called, tell) as place:
        if not again and (there := _there(called)):
            return there
        _refuse_taken(called, again=again)
        got = _fetched(sources, place.fetched, entry, called, progress, tell)
        try:
            brought = bring(got.path, place.model, entry=entry, card=card, name=called, move=True)
            return _put(called, place, brought, source=got.source, revision=got.revision, terms=terms)
        except ModelError:
            shutil.rmtree(place.fetched, ignore_errors=True)  # whole, but no model: it would be none again
            raise


def import_model(
    path: Path,
    *,
    name: str | None = None,
    card: Path | None = None,
    again: bool = False,
    consent: Consent = refuse_unless_agreed,
    tell: Tell = lambda _text: None,
) -> Installed:
    """Make a model of what lies on the disk: a folder with a card, one of nnU-Net, a zip of either, bare weights.

    Parameters
    ----------
    path : Path
    name : str, optional
        What to call it here; else the card's name, the public checkpoint's, or the file's.
    card : Path, optional
        The card of bare weights that belong to no public checkpoint.
    again : bool
        Put it in the place of a model of this name.
    consent : callable, optional
        Is shown the name and the terms where they forbid commercial use; refuses by a `ModelError`.
    tell : callable, optional

    Raises
    ------
    ModelError
        When it is no model, is damaged, its terms were not agreed to, or a model of this name is there.
    OutputError
        When it can't be written down.
    """
    if not path.exists():
        raise ModelError(f"{path}: no such file or folder")
    if name is not None:
        checked_name(name)
    with tempfile.TemporaryDirectory(prefix="import-", dir=_made(settings().home / "downloads")) as room:
        brought = bring(path, Path(room) / "model", entry=None, card=card, name=name)
        called = checked_name(name or brought.name)
        with _place_for(called, tell) as place:
            if (there := _there(called)) and not again:
                raise ModelError(f"{called}: is there already, in {there.folder}; --again puts this one in its place")
            _refuse_taken(called, again=again, source=path)
            terms = brought.terms or terms_of(called)
            if terms.commercial_use == "no":
                consent(called, terms)
            else:
                tell(f"{called}: licence: {terms}")
            brought.folder.rename(place.model)
            return _put(called, place, brought, source=path.name, revision="", terms=terms)


def checked_name(name: str) -> str:
    """Return a name that a model may have.

    Raises
    ------
    ModelError
        When it has other letters, or is that of a model of the package.
    """
    if not re.fullmatch(NAME, name) or ".." in name or len(name) > 120:
        raise ModelError(f"{name!r} is no name for a model; expected such as suprem/unet or my-model")
    if name in registry.bundled_names():
        raise ModelError(f"{name}: comes with the package and can't be replaced; choose another name")
    return name


@dataclass(frozen=True, slots=True)
class _Place:
    """Where what was fetched lies, and where the model is put together."""

    parts: Path

    @property
    def fetched(self) -> Path:
        return self.parts / "fetched"

    @property
    def model(self) -> Path:
        return self.parts / "model"


@dataclass(frozen=True, slots=True)
class _Fetched:
    path: Path
    source: str
    revision: str


@contextmanager
def _place_for(name: str, tell: Tell) -> Iterator[_Place]:
    """Hold the place where a model is put together; only what was fetched in part stays after a failure."""
    parts = _made(settings().home / "downloads" / name.replace("/", "--"))
    try:
        handle = os.open(parts / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise OutputError(f"{parts}: can't be written to: {error.strerror}") from None
    try:
        waited = False
        while not held(handle):
            if not waited:
                tell(f"{name}: another ctatlas is at it; waiting")
            waited = True
        place = _Place(parts)
        shutil.rmtree(place.model, ignore_errors=True)
        try:
            yield place
        finally:
            shutil.rmtree(place.model, ignore_errors=True)
    finally:
        os.close(handle)


def _fetched(  # noqa: PLR0917
    sources: tuple[str, ...], folder: Path, entry: Entry | None, name: str, progress: Progress, tell: Tell
) -> _Fetched:
    """Try the sources in turn."""
    expected = Expected(entry.sha256 or "", entry.bytes) if entry else Expected()
    faults: list[str] = []
    for source in sources:
        try:
            got = (
                download_folder(source, folder / _last_part(source), progress=progress, name=name)
                if is_folder(source)
                else download(resolve(source), folder, expected=expected, progress=progress, name=name)
            )
        except ModelError as error:
            faults.append(str(error))
            tell(str(error)) if len(sources) > 1 else None
        else:
            return _Fetched(got.path, source, got.revision)
    raise ModelError("; ".join(faults))


def _put(name: str, place: _Place, brought: Brought, *, source: str, revision: str, terms: Terms) -> Installed:
    """Write the record, see that it runs, and move the whole model to its place."""
    target = settings().home / "models" / name
    files = {
        str(path.relative_to(place.model).as_posix()): FileRecord(sha256=sha256_file(path), bytes=path.stat().st_size)
        for path in sorted(place.model.rglob("*"))
        if path.is_file() and path.name not in {CARD_FILE, RECORD_FILE}
    }
    record = Record(
        name=name,
        files=files,
        source=source,
        revision=revision,
        fetched=datetime.now(UTC).isoformat(timespec="seconds"),
        license=terms.license,
        commercial_use=terms.commercial_use,
    )
    write_record(place.model, record)
    note = _tried(place.model) if brought.runs else "a start for training, which finds no structures by itself"
    try:
        _made(target.parent)
        old = place.parts / "old"
        shutil.rmtree(old, ignore_errors=True)
        if target.exists():
            target.rename(old)
        place.model.rename(target)
        shutil.rmtree(old, ignore_errors=True)
        shutil.rmtree(place.fetched, ignore_errors=True)
    except OSError as error:
        raise OutputError(f"{target}: can't be written: {error.strerror}") from None
    return Installed(name, target, record, note=note)


def _tried(folder: Path) -> str:
    """Load the model once, so that what doesn't fit is told now; say so where torch is not there to do it."""
    try:
        for each in model_folders(folder) or (folder,):
            registry.load(each)
    except InstallError as error:
        return f"not tried: {error}"
    return ""


def _there(name: str) -> Installed | None:
    folder = settings().home / "models" / name
    with suppress(ModelError):
        if (record := read_record(folder)) and all((folder / file).is_file() for file in record.files):
            return Installed(name, folder, record, was_there=True)
    return None


def _refuse_taken(name: str, *, again: bool, source: Path | None = None) -> None:
    """Refuse to put a model where one lies that somebody made by hand, or above, below or beside one of its name."""
    models = settings().home / "models"
    target = models / name
    known = {each: registry.folder_of(each) for each in registry.model_names()}
    if name in known and target.resolve() not in {known[name].resolve(), known[name].resolve().parent}:
        raise ModelError(f"{name}: a model of this name lies in {known[name]}; choose another with --name")
    if target.parent != models and any((target.parent / file).exists() for file in (CARD_FILE, RECORD_FILE)):
        raise ModelError(f"{name}: {target.parent} is a model itself; choose another name with --name")
    if any(target.glob(f"*/{CARD_FILE}")) or any(target.glob(f"*/{RECORD_FILE}")):
        raise ModelError(f"{name}: {target} holds models; choose another name with --name")
    by_hand = (target / CARD_FILE).exists() and not (target / RECORD_FILE).exists()
    if by_hand and not again and (source is None or source.resolve() != target.resolve()):
        raise ModelError(f"{name}: {target} was made by hand; --again puts another in its place")


def _last_part(source: str) -> str:
    """Return what an address ends in: the name of a file, or of a folder, which tells nnU-Net's configuration."""
    return safe_name(unquote(urlsplit(source).path.rstrip("/").rpartition("/")[2]), source)


def _name_of(file: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", Path(file).stem.lower()).strip("-._") or "model"


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: can't be made: {error.strerror}") from None
    return folder
