"""Tables that are written row by row are, byte by byte, those that are written at once."""

from __future__ import annotations

import csv
import io
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from ctatlas.atlas.release.manifest import MASKS, MaskRow, column_types, read_rows, writing_manifest

ROWS = 20  # in a group


def mask(number: int) -> MaskRow:
    return MaskRow(
        id=f"BDMAP_{number // 4:08d}",
        structure="liver",
        name="liver",
        label=number,
        file=f"{number}/liver.nii.gz",
        sha256="",
        source="pseudo",
        detail='a "model", and\nanother; größer',
        n_voxels=number,
        volume_ml=number / 3,
        lost_ml=0.0,
        won_ml=1e-7 * number,
        people=0,
        agreement_dice="",
    )


def at_once(rows: list[MaskRow], path: Path) -> bytes:
    arrow: Any = import_module("pyarrow")
    types = {int: arrow.int64(), float: arrow.float64()}
    schema = arrow.schema([(name, types.get(one, arrow.string())) for name, one in column_types(MaskRow).items()])
    table = arrow.Table.from_pylist([row.model_dump() for row in rows], schema=schema)
    import_module("pyarrow.parquet").write_table(table, path, compression="zstd", row_group_size=ROWS)
    return path.read_bytes()


@pytest.mark.parametrize("n", [0, 1, ROWS - 1, ROWS, ROWS + 1, 3 * ROWS])
def test_row_by_row_is_as_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, n: int) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("ctatlas.atlas.release.manifest.ROWS_IN_A_GROUP", ROWS)
    rows = [mask(number) for number in range(n)]
    with writing_manifest(tmp_path) as manifest:
        for row in rows:
            manifest.add_mask(row)
    text = io.StringIO()
    table = csv.DictWriter(text, list(MaskRow.model_fields), lineterminator="\n")
    table.writeheader()
    table.writerows(row.model_dump() for row in rows)
    assert (tmp_path / MASKS).read_bytes() == text.getvalue().encode()
    assert (tmp_path / MASKS).with_suffix(".parquet").read_bytes() == at_once(rows, tmp_path / "at once.parquet")
    assert list(read_rows(MaskRow, tmp_path / MASKS)) == rows
    found = import_module("pyarrow.parquet").ParquetFile((tmp_path / MASKS).with_suffix(".parquet"))
    assert [found.metadata.row_group(i).num_rows for i in range(found.metadata.num_row_groups)][:-1] == [ROWS] * (
        max(n - 1, 0) // ROWS
    )


def test_a_manifest_that_fails_midway_leaves_no_table(tmp_path: Path) -> None:
    def fail() -> None:
        with writing_manifest(tmp_path) as manifest:
            manifest.add_mask(mask(1))
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
