from __future__ import annotations

import csv

import numpy as np
import pytest

import ctatlas
from ctatlas.benchmark.evaluate import Options
from ctatlas.benchmark.evaluate.volumes import VolumePair, agreements, volume_table
from ctatlas.measure.agreement import concordance
from ctatlas.volume import Segmentation
from tests.benchmark.evaluate.bodies import SHAPE, case_folder, grid

PAIRS = [
    VolumePair(f"c{k}", "liver", gt, pred) for k, (gt, pred) in enumerate([(10, 11), (20, 19), (30, 33), (40, 41)])
]


def test_agreement_of_volumes_by_hand():
    (found,) = agreements(PAIRS, {})
    assert (found.n, found.limits.bias) == (4, 1)
    assert found.concordance == concordance(np.array([10, 20, 30, 40.0]), np.array([11, 19, 33, 41.0]))
    assert found.concordance_interval.low <= found.concordance <= found.concordance_interval.high
    columns, (row,) = volume_table([found])
    cells = dict(zip(columns, row, strict=True))
    assert (cells["bias_ml"], cells["sd_ml"]) == (1, pytest.approx((8 / 3) ** 0.5))
    assert cells["lower_limit_ml_low"] < cells["lower_limit_ml"] < cells["bias_ml_low"]


def test_few_cases_have_no_limits_and_a_whole_row():
    (found,) = agreements(PAIRS[:2], {"c0": "p", "c1": "p"})
    assert (found.limits, found.concordance_interval) == (None, None)
    columns, (row,) = volume_table([found])
    assert len(row) == len(columns)


def test_the_table_is_written_for_whoever_measures_the_error(tmp_path):
    for number, n_slices in enumerate((4, 8, 12)):
        sides = {side: np.zeros(SHAPE, bool) for side in ("gt", "pred")}
        sides["gt"][3:9, 3:9, 2 : 2 + n_slices] = sides["pred"][3:9, 3:9, 3 : 2 + n_slices] = True
        for side, mask in sides.items():
            masks = {"liver": mask, "spleen": np.zeros(SHAPE, bool)}
            case_folder(tmp_path / side, f"c{number}", Segmentation.from_masks(grid(), masks))
    places, out, voxel_ml = (tmp_path / "gt", tmp_path / "pred"), tmp_path / "out", grid().voxel_ml
    ctatlas.evaluate(*places, out, metrics=["volume_error_ml"], options=Options(worst=0))
    with (out / "volumes.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["structure"], row["n"]) == ("liver", "3")  # a spleen that neither side has is no agreement
    assert float(row["bias_ml"]) == pytest.approx(-36 * voxel_ml)
    ctatlas.evaluate(*places, out, metrics=["dsc"], options=Options(worst=0))
    assert not (out / "volumes.csv").exists()
