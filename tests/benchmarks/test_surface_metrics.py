from __future__ import annotations

import numpy as np
import pytest

from benchmarks import surface_metrics


@pytest.fixture(scope="module")
def arrays(tmp_path_factory) -> dict[str, np.ndarray]:
    folder = tmp_path_factory.mktemp("case")
    surface_metrics.make_case(folder, (64, 64, 38))
    return {path.stem: np.load(path) for path in folder.iterdir()}


def test_the_case_has_what_is_said_of_it(arrays) -> None:
    assert set(arrays) == {"gt", *surface_metrics.PREDICTIONS}
    for label in surface_metrics.STRUCTURES:
        assert (arrays["specks"] == label).sum() >= 24
    agreement = {name: (arrays[name] == arrays["gt"]).mean() for name in surface_metrics.PREDICTIONS}
    assert 0.9 < agreement["clean"] < 1
    assert agreement["poor"] < agreement["clean"]


@pytest.mark.parametrize("prediction", surface_metrics.PREDICTIONS)
def test_both_tools_are_asked_the_same(arrays, prediction) -> None:
    pytest.importorskip("surface_distance")
    there = tuple(
        label for label in surface_metrics.STRUCTURES if all((arrays[one] == label).any() for one in ("gt", prediction))
    )[:8]
    assert len(there) == 8
    runs = [
        {"way": way, "prediction": prediction, "values": tool(arrays["gt"], arrays[prediction], there)}
        for way, tool in (
            ("ctatlas", surface_metrics.ours),
            ("surface-distance", surface_metrics.with_surface_distance),
        )
    ]
    found = surface_metrics.equality(runs)
    assert len(found) == 6
    assert all(row["n"] == 8 and row["largest_difference"] < 1e-14 for row in found.values())
    assert found["surface-distance, dsc"]["n_equal"] == found["surface-distance, hd95"]["n_equal"] == 8


def test_a_tool_that_was_given_few_structures_is_reckoned_for_all() -> None:
    common = {"prediction": "clean", "memory_mb": 10.0, "process_mb": 50.0}
    runs = [
        {"way": "ctatlas", "n_structures": 25, "cpu_s": 1.0, **common},
        {"way": "ctatlas", "n_structures": 25, "cpu_s": 3.0, **common},
        {"way": "other", "n_structures": 5, "cpu_s": 4.0, "share_of_voxels": 0.25, **common},
    ]
    ours, other = surface_metrics.table(runs)
    assert (ours["cpu_s"], ours["times_slower"]) == (2.0, 1.0)
    assert (other["cpu_s"], other["times_slower"]) == (4.0 * 5 * 4, 40.0)
