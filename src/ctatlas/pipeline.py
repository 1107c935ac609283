"""The main job: read → infer → tidy; for Python, and with a folder of results at the end for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.anatomy_rules.ribs import Steps
from ctatlas.finding import How, card_together, find, find_together
from ctatlas.hashing import sha256_json
from ctatlas.models import Model, ModelCard, card, load, preset_card
from ctatlas.models.engines import backend_of
from ctatlas.models.text import embedded_card, read_embeddings
from ctatlas.progress import SILENT, Progress
from ctatlas.results import Extras, Found, Naming, Origin, check_objects, name_outputs, write_results
from ctatlas.volume import Segmentation, Volume, read

if TYPE_CHECKING:
    from ctatlas.volume import ScanSource

__all__ = [
    "STEP_VERSION",
    "How",
    "Team",
    "find",
    "find_together",
    "network",
    "networks",
    "segment",
    "segment_to_folder",
]

# Raised whenever the same scan and the same model would give other files than before.
STEP_VERSION = 2


def segment(
    source: Path | str | Volume,
    *,
    model: str | Path | Sequence[str | Path] = "ctatlas/base",
    how: How = "mean",
    preset: str | None = None,
    structures: Sequence[str] | None = None,
    label_set: str | None = None,
    backend: str | None = None,
    progress: Progress = SILENT,
) -> Segmentation:
    """Find the structures of one CT scan.

    Parameters
    ----------
    source : Path, str or Volume
        A NIfTI file, a DICOM folder, or a scan in memory.
    model : str or Path, or a sequence of them
        A model's name (`ctatlas models list`), or its folder; or several.
    how : "mean" or "union"
        What several models give: what their mean probability says, or each structure as the first model that has it
        finds it.
    preset : str, optional
        Whose windows, overlap, threshold and clean-up the models are run with, such as "abdomenatlas"; default: what
        their cards say.
    structures : sequence of str, optional
        What to find, by any name; default: all that the model's card calls usable.
    label_set : str, optional
        Whose names to give; default: canonical names.
    backend : str, optional
        What runs the networks: "onnxruntime", "openvino", "torch", …; default: the fastest on such a machine.
    progress : Progress, optional

    Returns
    -------
    Segmentation
        On the scan's grid. A structure that is not there, or not in view, has an empty mask.

    Raises
    ------
    ScanError, ModelError
        When the scan can't be read or is no CT; when model, structure or label set is not known.
    """
    asked = [model] if isinstance(model, str | Path) else list(model)
    team = Team(tuple(map(str, asked)), how, preset, backend)
    naming = name_outputs(team.card, structures, label_set)
    scan = source if isinstance(source, Volume) else read(source)
    return team.find(scan, naming=naming, extras=Extras(), progress=progress).segmentation.rename(naming.file_names)


@dataclass(frozen=True, slots=True)
class Team:
    """Models that are asked together, or one alone, and how they are run.

    Attributes
    ----------
    models : tuple of str
        By name or folder.
    how : "mean" or "union"
    preset : str, optional
        Whose settings they are run with.
    backend : str, optional
    steps : Steps, optional
        How ribs and vertebrae are repaired in what they find.
    embeddings : Path, optional
        Texts that replace or join the classes of those that are driven by text.
    """

    models: tuple[str, ...]
    how: How = "mean"
    preset: str | None = None
    backend: str | None = None
    steps: Steps | None = None
    embeddings: Path | None = None

    @property
    def cards(self) -> list[ModelCard]:
        """Return their cards, with the texts given, as the preset has them."""
        found = [card(model) for model in self.models]
        if self.embeddings is not None:
            texts = read_embeddings(self.embeddings)
            found = [embedded_card(each, texts) for each in found]
        return [preset_card(each, self.preset) for each in found]

    def load(self) -> tuple[Model, ...]:
        """Load them once for many scans.

        Raises
        ------
        ModelError
            When a model, its weights, the preset or the file of texts is not there, broken, or of another kind.
        """
        loaded = networks(self.models, self.preset, self.backend)
        if self.embeddings is None:
            return loaded
        from ctatlas.models.text.embeddings import embedded_model

        texts = read_embeddings(self.embeddings)
        return tuple(embedded_model(each, theirs, texts) for each, theirs in zip(loaded, self.cards, strict=True))

    @property
    def card(self) -> ModelCard:
        """Return what they find together as one card."""
        return card_together(self.cards, self.how)

    def find(self, scan: Volume, *, naming: Naming, extras: Extras, progress: Progress = SILENT) -> Found:
        """Find the structures of a scan in memory."""
        models = self.load()
        if len(models) == 1:
            return find(scan, models[0], naming=naming, extras=extras, steps=self.steps, progress=progress)
        return find_together(
            scan, models, naming=naming, extras=extras, how=self.how, steps=self.steps, progress=progress
        )


def segment_to_folder(
    folder: Path, progress: Progress, *, source: ScanSource, team: Team, naming: Naming, extras: Extras
) -> dict[str, object]:
    """Read one scan, find its structures and write them; return the summary of `write_results`."""
    team.load()  # what is wrong with them is told before a scan is read
    progress.stage("read", 1)
    scan = source.read()
    check_objects(scan, extras)
    found = team.find(scan, naming=naming, extras=extras, progress=progress)
    progress.stage("write", 1)
    origin = Origin(source.path, team.card.name, team.card.version)
    return write_results(folder, scan, found, naming=naming, extras=extras, origin=origin)


def network(model: str) -> Model:
    """Load a model once for many scans, by its name or its folder."""
    return networks((model,))[0]


def networks(models: Sequence[str], preset: str | None = None, backend: str | None = None) -> tuple[Model, ...]:
    """Load models once for many scans, by their names or their folders, to be run in a backend as a preset says."""
    cards = [card(model) for model in models]
    told = tuple(
        (model, backend_of(found, backend), sha256_json(found.model_dump(mode="json")))
        for model, found in zip(models, cards, strict=True)
    )
    return tuple(replace(each, card=preset_card(each.card, preset)) for each in _loaded(told))


@lru_cache(maxsize=1)
def _loaded(told: tuple[tuple[str, str, str], ...]) -> tuple[Model, ...]:
    """Load models by name, backend and hash of the card: a changed card is another model."""
    return tuple(load(model, backend) for model, backend, _ in told)
