"""Whatever stands in a table: it is read, or refused in a line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ctatlas.benchmark.analysis import Choices, analyse
from ctatlas.errors import CtatlasError

CELLS = st.sampled_from(
    ["", "0", "1", "0.5", "nan", "inf", "-1", "1e400", "95", "x", "0,5", '"', "\0", "\x1b[31m", "s1", "é", "1_0"]
)
HEADERS = st.sampled_from(["name", "liver", "spleen", "case", "structure", "metric", "value", "status", "average", ""])
TABLES = st.builds(
    lambda header, rows, delimiter, end: end.join(delimiter.join(row) for row in [header, *rows]),
    st.lists(HEADERS, max_size=6),
    st.lists(st.lists(CELLS, max_size=7), max_size=6),
    st.sampled_from([",", ";", "\t"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
)


@pytest.mark.parametrize("name", ["dsc.csv", "hd95.csv", "metrics.csv", "metrics.parquet"])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(one=TABLES, two=TABLES, metadata=TABLES)
def test_a_table_is_read_or_refused_in_a_line(tmp_path: Path, name: str, one: str, two: str, metadata: str) -> None:
    for model, text in (("a", one), ("b", two)):
        (tmp_path / "results" / model).mkdir(parents=True, exist_ok=True)
        (tmp_path / "results" / model / name).write_bytes(text.encode())
    (tmp_path / "cases.csv").write_bytes(metadata.encode())
    for facts in (None, tmp_path / "cases.csv"):
        try:
            analyse(tmp_path / "results", facts, Choices(resamples=100))
        except CtatlasError as fault:
            assert "\n" not in str(fault)  # noqa: PT017
