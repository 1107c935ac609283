"""Several models' means, side by side."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def figure(sort, structure, dice, invented=0.0):
    return {"sort": sort, "structure": structure, "mean_dice": dice, "largest_invented_ml": invented}


def test_every_model_has_a_line(tmp_path):
    one = [figure("phantom", "liver", 0.9), figure("phantom", "spleen", 0.8), figure("real", "liver", 0.7)]
    two = [figure("phantom", "liver", 0.5), figure("unlabelled", "prostate", None, 3.14)]
    for name, models, figures in (("a", ["one"], one), ("b", ["one", "two"], two)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"model": models, "summary": figures}))
    out = tmp_path / "out.md"
    script = ROOT / "scripts" / "compare_base_models.py"
    subprocess.run([sys.executable, script, out, tmp_path / "a.json", tmp_path / "b.json"], check=True)
    lines = out.read_text().splitlines()
    assert lines[2] == "| one | 0.850 | – | 0.700 | – | 0.0 (liver) |"
    assert lines[3] == "| one + two | 0.500 | – | – | – | 3.1 (prostate) |"
