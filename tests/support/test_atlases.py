"""The atlas that other tests stand on."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ctatlas.atlas.layout import CasePlace
from ctatlas.atlas.records import OriginalRecord, read_record
from ctatlas.volume import not_hounsfield, read, read_labels
from tests.support.atlases import native_labels, phantom_atlas


def test_phantom_atlas_holds_scans_truth_and_some_originals(tmp_path: Path) -> None:
    made = phantom_atlas(tmp_path / "atlas", 2)
    first, second = made.place(0), made.place(1)
    scan = read(first.ct)
    assert [place.case for place in made.atlas.cases()] == ["phantom_0", "phantom_1"]
    assert not_hounsfield(scan) is None
    assert scan.grid.same_place(made.truth["phantom_0"].grid)
    assert made.truth["phantom_0"].mask("liver").sum() > 1000
    liver = read_labels(first.original / "liver.nii.gz").labels > 0
    assert (liver == made.truth["phantom_0"].mask("liver")).all()
    kits = read_record(OriginalRecord, second.original / "labels.json")
    assert kits.annotated == ("kidney_left", "kidney_right", "kidney_tumor", "kidney_cyst")
    assert kits.masks["kidney_left"].volume_ml > 50
    assert kits.masks["kidney_tumor"].n_voxels == 0
    assert _indexed(made.atlas, first) == 14


def test_native_labels_number_as_the_dataset_does(tmp_path: Path) -> None:
    truth = phantom_atlas(tmp_path / "atlas", 1).truth["phantom_0"]
    labels = native_labels("abdomenct-1k", truth)
    assert np.unique(labels).tolist() == [0, 1, 2, 3, 4]
    assert (labels == 2).sum() == truth.mask("kidney_left").sum() + truth.mask("kidney_right").sum()


def _indexed(atlas: object, place: CasePlace) -> int:
    from ctatlas.atlas import Atlas
    from ctatlas.atlas.catalog import questions

    assert isinstance(atlas, Atlas)
    with atlas.catalog() as catalog, catalog.session() as session:
        counts = questions.label_counts(session)
    record = read_record(OriginalRecord, place.original / "labels.json")
    return sum(counts[name]["original"] > 0 for name in record.annotated)
