"""Each source is left out in turn, and what that costs is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs the extra 'torch'")

from ctatlas.training import ablation
from ctatlas.training.loop import TrainConfig
from ctatlas.training.pool import Member

MEMBERS = [
    Member(kind, name, np.zeros((1, 1, 1), np.uint8), None, {})
    for kind, name in (("phantom", "0000"), ("phantom", "0001"), ("torso", "crlm-1004"), ("labelled", "ts-example"))
]


def test_every_model_is_without_the_held_out_scan_and_one_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: dict[str, tuple[str, ...]] = {}

    def trained(folder: Path, _pool: Path, config: TrainConfig, _workers: int) -> str:
        asked[folder.name] = config.without
        return folder.name

    def scored(model: str, *_: object) -> list[dict[str, Any]]:
        dice = 0.5 if model == "without-phantom" else 0.8
        return [{"sort": "held out", "structure": "liver", "mean_dice": dice}]

    monkeypatch.setattr(ablation, "load_pool", lambda _: MEMBERS)
    monkeypatch.setattr(ablation, "trained", trained)
    monkeypatch.setattr(ablation, "scored", scored)
    out, table = tmp_path / "out.json", tmp_path / "out.md"
    ablation.main(out, tmp_path, tmp_path, steps=5, table_file=table)
    assert asked == {
        "without-nothing": ("ts-example",),
        "without-phantom": ("ts-example", "phantom"),
        "without-torso": ("ts-example", "torso"),
    }
    assert [row["members"] for row in json.loads(out.read_text())["rows"]] == [3, 1, 2]
    assert "| phantom | 1 | – | – | 0.500 (-0.300) |" in table.read_text()
