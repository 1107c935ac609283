"""The main job: read → infer → tidy; for Python, and with a folder of results at the end for the command line."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from ctatlas.anatomy_rules import apply_rules, rules_of
from ctatlas.hashing import sha256_json
from ctatlas.inference import AS_ITS_CARD_SAYS, View, infer
from ctatlas.models import Model, card, load
from ctatlas.progress import SILENT, Progress
from ctatlas.results import Extras, Found, Naming, Origin, check_objects, name_outputs, write_results
from ctatlas.volume import Segmentation, Volume, read, turn_between

if TYPE_CHECKING:
    from ctatlas.volume import ScanSource

# Raised whenever the same scan and the same model would give other files than before.
STEP_VERSION = 1
_ORIENTATION = "RAS"


def segment(
    source: Path | str | Volume,
    *,
    model: str | Path = "ctatlas/base",
    structures: Sequence[str] | None = None,
    label_set: str | None = None,
    progress: Progress = SILENT,
) -> Segmentation:
    """Find the structures of one CT scan.

    Parameters
    ----------
    source : Path, str or Volume
        A NIfTI file, a DICOM folder, or a scan in memory.
    model : str or Path
        A model's name (`ctatlas models list`), or its folder.
    structures : sequence of str, optional
        What to find, by any name; default: all that the model's card calls usable.
    label_set : str, optional
        Whose names to give; default: canonical names.
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
    loaded = network(str(model))
    naming = name_outputs(loaded.card, structures, label_set)
    scan = source if isinstance(source, Volume) else read(source)
    found = find(scan, loaded, naming=naming, extras=Extras(), progress=progress)
    return found.segmentation.rename(naming.file_names)


def find(
    scan: Volume,
    model: Model,
    *,
    naming: Naming,
    extras: Extras,
    view: View = AS_ITS_CARD_SAYS,
    keep_network: bool = False,
    progress: Progress = SILENT,
) -> Found:
    """Find the structures of a scan in memory, under canonical names, with the extras that need the network.

    All is done in one order of axes and then turned back, so that how a scan was stored changes no voxel. A `view`
    alters how the network is shown the scan; with `keep_network` its probabilities on its own grid are kept.
    """
    upright = scan.reoriented(_ORIENTATION)
    inferred = infer(
        upright,
        model,
        view=view,
        progress=progress,
        save_probabilities=extras.probabilities,
        save_entropy=extras.entropy,
        keep_network=keep_network,
    )
    progress.stage("tidy", 1)
    tidied = apply_rules(inferred.segmentation, rules_of(model.card))
    progress.advance()
    back = turn_between(_ORIENTATION, scan.grid.orientation)
    return Found(
        naming.apply(tidied.segmentation).reoriented(scan.grid.orientation),
        {name: back.array(values) for name, values in inferred.probabilities.items()},
        None if inferred.entropy is None else back.array(inferred.entropy),
        inferred.network,
        tuple(each for each in tidied.findings if each.structure in naming.needed),
        inferred.why_nothing,
    )


def segment_to_folder(
    folder: Path, progress: Progress, *, source: ScanSource, model: str, naming: Naming, extras: Extras
) -> dict[str, object]:
    """Read one scan, find its structures and write them; return the summary of `write_results`."""
    loaded = network(model)
    progress.stage("read", 1)
    scan = source.read()
    check_objects(scan, extras)
    found = find(scan, loaded, naming=naming, extras=extras, progress=progress)
    progress.stage("write", 1)
    origin = Origin(source.path, loaded.card.name, loaded.card.version)
    return write_results(folder, scan, found, naming=naming, extras=extras, origin=origin)


def network(model: str) -> Model:
    """Load a model once for many scans, by its name or its folder."""
    return _loaded(model, sha256_json(card(model).model_dump(mode="json")))


@lru_cache(maxsize=1)
def _loaded(model: str, card_sha256: str) -> Model:  # noqa: ARG001 - a changed card is another model
    return load(model)
