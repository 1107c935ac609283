"""The benchmark of attention, in small: both programs give the same voxels."""

import json

from benchmarks import attention


def test_both_ways_write_the_same_maps(tmp_path):
    out, table = tmp_path / "out.json", tmp_path / "out.md"
    attention.main(out, folder=tmp_path / "case", structures=1, shrink=16, table_file=table)
    told = json.loads(out.read_text())
    assert told["files_that_differ"] == []
    assert told["files_compared"] == 3
    written = [tmp_path / "case" / way / "attention" / "spleen.nii.gz" for way in ("plainly", "preset")]
    assert all(path.is_file() for path in written)
    assert "| plainly |" in table.read_text()
