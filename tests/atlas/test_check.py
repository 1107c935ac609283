from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.checks import check_masks
from ctatlas.atlas.assemble import assemble_tasks
from ctatlas.atlas.check import check_and_fix, check_tasks
from ctatlas.atlas.checked import checked_of, read_checked
from ctatlas.atlas.records import FindingRecord, FindingsRecord, read_record
from ctatlas.atlas.revise.store import revision_records
from ctatlas.errors import AtlasError
from ctatlas.execution import perform
from ctatlas.volume import read_labels, write_mask
from tests.atlas.by_hand import add_original
from tests.support.atlases import PhantomAtlas, annotated_by, phantom_atlas

CREATED = "2026-01-02T03:04:05+00:00"
SET = "totalsegmentator-v2"


@pytest.fixture
def made(tmp_path: Path) -> PhantomAtlas:
    first = {"priorities": ["revised", "original"]}
    return phantom_atlas(tmp_path / "atlas", 1, sources=(None,), label_set=SET, assembly=first)


def label(made: PhantomAtlas, **changed: np.ndarray) -> None:
    """Give the case its true labels, but for those that are changed."""
    truth = made.truth["phantom_0"]
    place = made.place()
    shutil.rmtree(place.original, ignore_errors=True)
    add_original(place, annotated_by("btcv", truth) | changed, grid=truth.grid, set_name="btcv")


def label_with_kidneys_exchanged(made: PhantomAtlas) -> None:
    truth = annotated_by("btcv", made.truth["phantom_0"])
    label(made, kidney_left=truth["kidney_right"], kidney_right=truth["kidney_left"])


def assemble(made: PhantomAtlas) -> None:
    (task,) = assemble_tasks(made.atlas, [made.place()])
    perform(task)


def findings_of(made: PhantomAtlas, **options: object) -> tuple[FindingRecord, ...]:
    (task,) = check_tasks(made.atlas, [made.place()], **options)  # type: ignore[arg-type]
    perform(task)
    return read_record(FindingsRecord, made.place().checks / "findings.json").findings


def test_the_labels_of_a_phantom_have_no_error(made: PhantomAtlas) -> None:
    label(made)
    assert [each for each in findings_of(made) if each.severity == "error"] == []


def test_assembled_masks_come_before_originals(made: PhantomAtlas) -> None:
    label(made)
    assert checked_of(made.place(), made.atlas.config).what == "original"
    assemble(made)
    assert checked_of(made.place(), made.atlas.config).what == "assembled"
    assert checked_of(made.place(), made.atlas.config, "original").what == "original"


def test_masks_that_are_not_there_are_missed_in_a_line(made: PhantomAtlas) -> None:
    label(made)
    (task,) = check_tasks(made.atlas, [made.place()], of="some/model")
    with pytest.raises(AtlasError, match=r"phantom_0: has no masks of 'some/model' to check; .*predict"):
        perform(task)


def test_an_unknown_rule_is_refused_with_those_there_are(made: PhantomAtlas) -> None:
    with pytest.raises(AtlasError, match=r"no rule is called 'magic'; there are aorta_protocol, "):
        check_tasks(made.atlas, [made.place()], rules=["magic"])


def test_a_finding_tells_where_and_what(made: PhantomAtlas) -> None:
    label_with_kidneys_exchanged(made)
    found = [each for each in findings_of(made) if each.rule == "side_swapped"]

    assert {each.structure for each in found} == {"kidney_left", "kidney_right"}
    for each in found:
        inside = np.argwhere(annotated_by("btcv", made.truth["phantom_0"])[structures()[each.structure].partner])
        assert each.lo == tuple(inside.min(axis=0))
        assert each.hi == tuple(inside.max(axis=0) + 1)
        assert each.severity == "error"
        assert each.fix == "exchange"
        assert each.unit == "mm"
        assert each.value is not None
        assert each.limit is not None
        assert each.value > each.limit


def test_the_same_state_gives_the_same_bytes_and_is_not_done_again(made: PhantomAtlas) -> None:
    label(made)
    first = findings_of(made)
    before = (made.place().checks / "findings.json").read_bytes()
    (task,) = check_tasks(made.atlas, [made.place()])
    assert perform(task).state == "there"
    shutil.rmtree(made.place().checks)
    assert perform(task).state == "done"
    assert (made.place().checks / "findings.json").read_bytes() == before
    assert findings_of(made, rules=["holes"]) == tuple(each for each in first if each.rule == "holes")


def test_other_masks_are_checked_anew(made: PhantomAtlas) -> None:
    label(made)
    findings_of(made)
    label_with_kidneys_exchanged(made)
    (task,) = check_tasks(made.atlas, [made.place()])
    assert perform(task).state == "done"


def test_a_fix_is_a_revision_by_rules_once_and_mends_the_assembly(made: PhantomAtlas) -> None:
    label_with_kidneys_exchanged(made)
    assemble(made)
    (task,) = check_tasks(made.atlas, [made.place()])

    summary = check_and_fix(task, config=made.atlas.config, created=CREATED).summary
    again = check_and_fix(task, config=made.atlas.config, created=CREATED).summary

    assert (summary["revision"], summary["fix_not_used"]) == (1, {})
    assert (again["fixed"], again["fix_not_used"]) == ({}, {})
    assert (again["fixed_before"], again["revision"]) == (True, 1)
    (record,) = revision_records(made.place()).values()
    assert (record.author, record.created, record.minutes) == ("rules", CREATED, None)
    assert "kidney_left: exchange with kidney_right (side_swapped" in record.reason
    assert set(record.masks) == {"kidney_left", "kidney_right"}
    assemble(made)
    assert not [each for each in findings_of(made) if each.rule == "side_swapped"]
    truth = annotated_by("btcv", made.truth["phantom_0"])
    found = read_labels(made.place().assembled / "segmentations" / "kidney_left.nii.gz").labels
    assert (found == truth["kidney_left"]).all()


def test_a_fix_that_loses_to_the_original_says_so(tmp_path: Path) -> None:
    made = phantom_atlas(tmp_path / "atlas", 1, sources=(None,), label_set=SET)  # the original wins
    label_with_kidneys_exchanged(made)
    assemble(made)
    (task,) = check_tasks(made.atlas, [made.place()])
    first, again = (check_and_fix(task, config=made.atlas.config, created=CREATED).summary for _ in range(2))

    assert first["fix_not_used"] == again["fix_not_used"] == {"kidney_left": "original", "kidney_right": "original"}
    assemble(made)
    found = read_labels(made.place().assembled / "segmentations" / "kidney_left.nii.gz").labels
    assert (found == annotated_by("btcv", made.truth["phantom_0"])["kidney_right"]).all()


def test_nothing_is_changed_without_being_asked(made: PhantomAtlas) -> None:
    label_with_kidneys_exchanged(made)
    before = {path: path.read_bytes() for path in made.place().folder.rglob("*") if path.is_file()}
    findings_of(made)
    assert {path: path.read_bytes() for path in before} == before
    assert not made.place().revisions()


def test_what_the_source_says_is_absent_is_not_missing(made: PhantomAtlas) -> None:
    label(made, spleen=np.zeros(made.truth["phantom_0"].grid.shape, bool))
    assert "spleen" in {each.structure for each in findings_of(made, rules=["missing"])}
    assemble(made)
    assert findings_of(made, rules=["missing"]) == ()


def test_a_combined_label_map_that_differs_is_found(made: PhantomAtlas) -> None:
    label(made)
    assemble(made)
    path = made.place().assembled / "segmentations" / "spleen.nii.gz"
    mask = read_labels(path).labels != 0
    mask[tuple(np.argwhere(mask)[0])] = False
    write_mask(mask, made.truth["phantom_0"].grid, path)
    masks, given = read_checked(made.place(), "assembled")
    found = check_masks(masks, given)
    assert ("combined_differs", "spleen") in {(each.rule, each.structure) for each in found}
