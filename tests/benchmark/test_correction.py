"""Against the stored vectors, and statsmodels on drawn p-values."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.benchmark.correction import benjamini_hochberg, benjamini_yekutieli, bonferroni, holm

METHODS = {"holm": holm, "bonferroni": bonferroni, "bh": benjamini_hochberg, "by": benjamini_yekutieli}
THEIRS = {"holm": "holm", "bonferroni": "bonferroni", "bh": "fdr_bh", "by": "fdr_by"}


@pytest.mark.parametrize("name", METHODS)
def test_gives_the_stored_numbers(name: str, vectors: dict[str, Any]) -> None:
    stored = vectors["adjust"]
    assert METHODS[name](np.array(stored["p"])) == pytest.approx(stored[name], rel=1e-12, abs=1e-15)


@pytest.mark.parametrize("name", METHODS)
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_equals_statsmodels(name: str, p: list[float]) -> None:
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    theirs = multitest.multipletests(p, method=THEIRS[name])[1]
    assert METHODS[name](np.array(p)) == pytest.approx(theirs, rel=1e-12, abs=1e-300)


@pytest.mark.parametrize("name", METHODS)
def test_no_test_gives_no_p_value(name: str) -> None:
    assert METHODS[name](np.array([])).size == 0
