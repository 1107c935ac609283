"""The model card of a folder of nnU-Net, made from its plans and labels, so that it runs as any other model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from ctatlas.anatomy import structure_called
from ctatlas.errors import ModelError
from ctatlas.hashing import sha256_file, sha256_json
from ctatlas.models.cards import Channel, Input, ModelCard, OutputClass, Weights, Window
from ctatlas.models.nnunet.dataset import BACKGROUND, DATASET_FILE
from ctatlas.models.nnunet.folder import NnunetFolder, open_folder
from ctatlas.models.nnunet.networks import beside
from ctatlas.models.nnunet.note import read_note
from ctatlas.models.nnunet.plans import PLANS_FILE, Configuration, Plans

_ANY = (-1e30, 1e30)
# How an array lies whose directions are the identity to each reader: NIfTI's world grows to the right, anterior and
# superior, ITK's to the left, posterior and superior. Nothing but a habit of those who train says that a model's scans
# lay so; a reader that turns them is the one that makes sure. SimpleITK's DICOMOrient(image, "RAS"), too, names the
# sides toward which axes grow.
READERS = {
    "NibabelIO": "RAS",
    "NibabelIOWithReorient": "RAS",
    "SimpleITKIO": "LPS",
    "SimpleITKIOWithReorient": "RAS",
}
_LICENSE = "not stated in the folder; ask those who trained it"


def nnunet_card(folder: NnunetFolder) -> ModelCard:
    """Make the card of a model folder; labels that structures are called by get their canonical names.

    Raises
    ------
    ModelError
        When the configuration can't be run here, or no fold is trained to its end.
    """
    try:
        return _card(folder)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
        raise ModelError(f"{folder.path}: no model can be made of it: {faults}") from None


def _card(folder: NnunetFolder) -> ModelCard:
    plans, chosen, dataset = folder.plans, folder.chosen, folder.dataset
    spacing = chosen.spacing if len(chosen.spacing) == 3 else (plans.first_spacing, *chosen.spacing)
    patch = chosen.patch_size if len(chosen.patch_size) == 3 else (1, *chosen.patch_size)
    z, y, x = (spacing[axis] for axis in plans.transpose_backward)
    c, b, a = (patch[axis] for axis in plans.transpose_backward)
    regions, trainer = dataset.has_regions, folder.trainer or "nnU-Net"
    note = read_note(folder.path)
    lies = note.orientation or READERS.get(plans.image_reader_writer, "LPS")
    told = f"nnU-Net {folder.configuration} of {folder.dataset_name}, trained by {trainer}; scans are turned to {lies}"
    return ModelCard(
        name=f"nnunet/{_slug(folder.dataset_name) or 'model'}.{_slug(folder.configuration)}",
        version=_slug(folder.trainer) or "1",
        license=note.license or _LICENSE,
        commercial_use=note.commercial_use,
        description=note.description or told,
        not_for=note.not_for or "clinical use",
        citation=note.citation,
        pipeline="nnunet",
        input=Input(
            spacing_mm=(x, y, z),
            orientation=lies,
            channels=tuple(_channel(plans, chosen, number) for number in range(len(dataset.channel_names))),
        ),
        window=Window(shape=(a, b, c)),
        weights=Weights(file=folder.weights_name, sha256=fingerprint(folder), loader="nnunet"),
        classes=_classes(_names(list(dataset.classes)), regions=regions),
        decide="threshold" if regions else "argmax",
        training={
            "trainer": folder.trainer,
            "dataset": folder.dataset_name,
            "configuration": folder.configuration,
            "reader": plans.image_reader_writer,
        },
    )


def fingerprint(folder: NnunetFolder) -> str:
    """Return a hash of all that decides what a folder gives: plans, labels, every fold's weights, a former stage."""
    files = [folder.path / PLANS_FILE, folder.path / DATASET_FILE, *folder.weight_files()]
    try:
        found = {str(path.relative_to(folder.path)): sha256_file(path) for path in files}
        if (stage := folder.chosen.previous_stage) is not None:
            found["former stage"] = fingerprint(open_folder(beside(folder.path.resolve(), stage)))
        return sha256_json(found)
    except OSError as error:
        raise ModelError(f"{folder.path}: can't be read: {error.strerror}") from None


def _names(labels: Sequence[str]) -> dict[str, str | None]:
    """Map each label, under a name that a file can bear, to the structure that is called so, if one is."""
    known = {name: structure_called(name) for name in labels}
    shared = {each for each in known.values() if each and list(known.values()).count(each) > 1}
    spelled = {name: re.sub(r"[^\w.+-]+", "_", name.strip()).strip(".") or "label" for name in labels}
    taken = [structure if structure and structure not in shared else None for structure in known.values()]
    found: dict[str, str | None] = {}
    for name, structure in zip(labels, taken, strict=True):
        key = structure or spelled[name]
        while key in found:
            key += "_"
        found[key] = structure
    return found


def _classes(names: Mapping[str, str | None], *, regions: bool) -> tuple[OutputClass, ...]:
    first = () if regions else (OutputClass(channel=0, name=BACKGROUND, role="background"),)
    return first + tuple(
        OutputClass(channel=channel, name=name, role="structure" if structure else "native")
        for channel, (name, structure) in enumerate(names.items(), start=len(first))
    )


def _channel(plans: Plans, chosen: Configuration, number: int) -> Channel:
    scheme = chosen.normalization_schemes[number] if number < len(chosen.normalization_schemes) else ""
    seen = plans.intensities.get(str(number))
    if scheme != "CTNormalization" or seen is None or not seen.percentile_00_5 < seen.percentile_99_5:
        return Channel(clip=_ANY)  # goes by the scan itself
    return Channel(clip=(seen.percentile_00_5, seen.percentile_99_5), subtract=seen.mean, divide=max(seen.std, 1e-8))


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-._")
