from __future__ import annotations

import pytest

from ctatlas.benchmark.evaluate import Evaluation
from ctatlas.commands.evaluated import tell_of_evaluation


@pytest.mark.parametrize(
    ("packages", "said"),
    [
        ({"numpy": "2", "numba": "0.6", "pyarrow": "20"}, ""),
        (
            {"numpy": "2"},
            "measured without numba: the same values, slower; written without pyarrow: no metrics.parquet "
            "(pip install 'ctatlas[measure]')",
        ),
    ],
)
def test_what_an_installation_lacks_is_said_in_a_line(packages, said, capsys) -> None:
    tell_of_evaluation(Evaluation((), facts={"packages": packages}))
    assert " ".join(capsys.readouterr().err.split()).removeprefix("ctatlas: ") == said
