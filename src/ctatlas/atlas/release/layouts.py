"""Where the files of a case lie in a release: one row of a table a layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from types import MappingProxyType

from ctatlas.atlas.config import AtlasConfig
from ctatlas.atlas.records import CaseRecord
from ctatlas.atlas.release.facts import Facts
from ctatlas.atlas.release.nnunet import dataset_json
from ctatlas.errors import AtlasError
from ctatlas.volume import safe_name

CT = "ct.nii.gz"
COMBINED = "combined_labels.nii.gz"
ORIGINAL = "original_label.nii.gz"
VERSION = "_V1"  # of what models said before people corrected it
PSEUDO = f"pseudo_label{VERSION}.nii.gz"
SEGMENTATIONS = "segmentations"
UNSPLIT = "all"  # stands for the split of cases that have none


@dataclass(frozen=True, slots=True)
class Place:
    """What decides where a case's files lie: its name in the layout, its split ("" for none), and the collection."""

    name: str
    split: str
    collection: str


@dataclass(frozen=True, slots=True)
class Layout:
    """How a release is laid out.

    Attributes
    ----------
    says : str
        For whom.
    name : callable
        From a case and its id to its name.
    path : callable
        From a case's place and one of its files (`ct.nii.gz`, …) to where that lies.
    collection : callable
        From the atlas's configuration to what all cases lie in; "" for nothing.
    label_set : str or None
        Which it is used to; None: the atlas's.
    single_masks : bool
        Whether each structure has a file of its own.
    earlier : bool
        Whether the labels that came with the scan are told, in their own numbers, and what models said before people
        corrected it.
    common_labels : bool
        Whether all cases must tell about the same structures, numbered 1, 2, …: what is not labelled is background.
    shards : str
        Where tar.gz files lie.
    cases_per_shard : int or None
        What is packed where nobody decides; None: nothing.
    extra : callable
        From the facts of a release and the collection to further files: path -> text.
    """

    says: str
    name: Callable[[CaseRecord, str], str]
    path: Callable[[Place, str], str]
    collection: Callable[[AtlasConfig], str] = lambda _: ""
    label_set: str | None = None
    single_masks: bool = True
    earlier: bool = False
    common_labels: bool = False
    shards: str = "shards"
    cases_per_shard: int | None = None
    extra: Callable[[Facts, str], Mapping[str, str]] = lambda _, __: {}


def layout_called(name: str) -> Layout:
    """Return a layout.

    Raises
    ------
    AtlasError
        When none is called that.
    """
    if name not in LAYOUTS:
        near = get_close_matches(name, LAYOUTS, n=1)
        hint = f"near: {near[0]}" if near else f"known: {', '.join(LAYOUTS)}"
        raise AtlasError(f"no layout is called {name!r}; {hint}")
    return LAYOUTS[name]


def _by_id(record: CaseRecord, identity: str) -> str:  # noqa: ARG001 - every layout's
    return identity


def _by_source(record: CaseRecord, identity: str) -> str:  # noqa: ARG001 - every layout's
    return safe_name(f"{record.dataset}_{record.dataset_case}")


def _folder_a_case(place: Place, file: str) -> str:
    return f"{place.name}/{file}"


def _folder_a_case_8k(place: Place, file: str) -> str:
    return f"{place.name}/{'pseudo_label.nii.gz' if file == COMBINED else file}"


def _folder_a_case_by_split(place: Place, file: str) -> str:
    return f"data/{place.split or UNSPLIT}/{place.name}/{file}"


def _nnunet(place: Place, file: str) -> str:
    part = "Ts" if place.split == "test" else "Tr"
    if file == CT:
        return f"{place.collection}/images{part}/{place.name}_0000.nii.gz"
    return f"{place.collection}/labels{part}/{place.name}.nii.gz"


def _nnunet_dataset(config: AtlasConfig) -> str:
    letters = re.sub(r"[^A-Za-z0-9]", "", safe_name(config.name).title()) or "Atlas"
    return f"Dataset{config.release.dataset_number:03d}_{letters}"


# Source of the layouts: reference/ecosystem.md §5, reference/abdomenatlas.md §1.3
LAYOUTS = MappingProxyType(
    {
        "abdomenatlas": Layout("as AbdomenAtlas 1.0 and 1.1", _by_id, _folder_a_case),
        "abdomenatlas-8k": Layout(
            "as AbdomenAtlas-8K was assembled", _by_source, _folder_a_case_8k, label_set="universal-32", earlier=True
        ),
        "nnunet": Layout(
            "as nnU-Net v2 takes raw data",
            _by_id,
            _nnunet,
            _nnunet_dataset,
            single_masks=False,
            common_labels=True,
            extra=dataset_json,
        ),
        "huggingface": Layout(
            "for a dataset repository, in few large files",
            _by_id,
            _folder_a_case_by_split,
            shards="data",
            cases_per_shard=500,
        ),
    }
)
