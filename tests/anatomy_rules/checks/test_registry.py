from __future__ import annotations

import pytest

from ctatlas.anatomy import structures
from ctatlas.anatomy_rules.checks import CHECKS, check_table, checks_from
from ctatlas.errors import ModelError

# The rules that the manual names
RULES = {
    "missing", "volume", "pieces", "holes", "side_swapped", "asymmetric_pair", "outside_region", "outside_parent",
    "overlap", "leak", "cut_by_scan", "flat_cut", "discontinuous_tube", "vertebra_order", "rib_count", "rib_order",
    "rib_attachment", "gas_in_solid_organ", "hu_implausible", "liver_spleen_swapped", "kidneys_fused", "duplicate",
    "outside_body", "step_between_slices", "field_mismatch", "combined_differs", "situs", "aorta_protocol",
    "empty_stomach_regions", "blurry_vena_cava", "kidneys_overlap",
}  # fmt: skip


def row(**changes: object) -> dict[str, object]:
    return {
        "rule": "holes",
        "severity": "error",
        "source": "a test",
        "structures": ["liver"],
        "at_most_ml": 1.0,
    } | changes


def test_the_tables_hold_every_rule():
    assert {check.rule for check in check_table()} == RULES


def test_every_kind_is_used_and_every_row_tells_its_source():
    assert {check.kind for check in check_table()} == set(CHECKS)
    assert all(len(check.source) > 10 for check in check_table())


def test_limits_are_of_known_structures():
    assert {name for check in check_table() for name in check.limits} - {"*"} <= structures().keys()


def test_a_row_and_limits_of_single_structures():
    (check,) = checks_from([row(each={"spleen": {"at_most_ml": 2.0}})])
    assert check.limits == {"liver": {"at_most_ml": 1.0}, "spleen": {"at_most_ml": 2.0}}


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"kind": "magic"}, "unknown kind 'magic'"),
        ({"structures": ["livver"]}, "no structure is called 'livver'"),
        ({"structures": "liver"}, "expected structures"),
        ({"severity": "bad"}, "severity"),
        ({"source": ""}, "source"),
        ({"at_most_ml": "much"}, "at_most_ml"),
        ({"at_most_mm": 3.0}, "at_most_mm"),
        ({"each": {"spleen": {"at_most": 1}}}, "at_most"),
        ({"each": 1}, "each"),
        ({"rule": "missing", "below_ml": 1.0, "evidence": [{"of": ["liver"], "beside": 1}]}, "beside"),
    ],
)
def test_a_faulty_row_is_refused_by_number_and_rule(changes: dict[str, object], fault: str) -> None:
    with pytest.raises(ModelError, match=r"row 2 \(.*\): .*" + fault):
        checks_from([row(), row(**changes)])
