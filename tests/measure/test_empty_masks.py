from __future__ import annotations

import pytest

from ctatlas.errors import ModelError
from ctatlas.measure.empty_masks import _policies, policies, policy
from ctatlas.measure.metrics import metrics

ROW = {"policy": "a", "metrics": "dsc", "pred_absent": "0", "gt_absent": "1", "both_absent": "undefined", "source": "s"}


def test_a_false_positive_in_an_absent_organ_counts_as_nothing_right():
    assert policy("ctatlas").settle("dsc", "gt_absent", None) == 0
    assert policy("ctatlas").settle("nsd", "gt_absent", None) == 0


def test_who_leaves_it_out_is_on_record():
    said = {name: each.settle("dsc", "gt_absent", 0.0) for name, each in policies().items()}
    assert {name for name, value in said.items() if value is None} == {
        "monai",
        "totalsegmentator",
        "suprem",
        "touchstone",
    }


@pytest.mark.parametrize("status", ["ok", "missing_prediction"])
def test_a_policy_has_no_say_where_masks_are_not_empty(status):
    assert policy("monai").settle("dsc", status, 0.25) == 0.25


def test_words_and_numbers():
    assert policy("medpy").settle("volume_error", "pred_absent", -1.0) == -1
    assert policy("surface-distance").settle("hd", "pred_absent", 12.0) is None
    assert policy("flare").settle("nsd", "both_absent", None) == 1


def test_ours_speaks_of_every_metric():
    assert policy("ctatlas").metrics == set(metrics())


@pytest.mark.parametrize(
    ("rows", "complaint"),
    [
        ([ROW, ROW], "a gives dsc twice"),
        ([ROW | {"source": ""}], "no source"),
        ([ROW | {"gt_absent": "nan?"}], "neither a number nor"),
    ],
)
def test_a_table_that_is_not_in_order_is_refused(rows, complaint):
    with pytest.raises(ModelError, match=complaint):
        _policies(rows)


def test_an_unknown_policy_names_the_known():
    with pytest.raises(ModelError, match="'best'; there are ctatlas, surface-distance"):
        policy("best")
