"""Write the bundled model's card: `python -m ctatlas.training.card MODEL_FOLDER RUN [--evidence FIGURES.json]`.

Classes and channels come from the trainer's own tables, figures from `benchmarks/base_model.py`.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import asdict
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any

import typer

from ctatlas.hashing import sha256_file
from ctatlas.training.classes import trained_classes
from ctatlas.training.evaluation.looks import looks_wrong
from ctatlas.training.evaluation.verdict import statuses
from ctatlas.training.loop import TrainConfig, config_of
from ctatlas.training.samples import CHANNELS

AUXILIARY = ("lungs", "other_bone", "chest_vessels")
SPLIT = {"hips": "hip", "femurs": "femur", "iliopsoas": "iliopsoas", "adrenal_glands": "adrenal_gland"}
CALIBRATED = ("body", "lung_left", "lung_right", "trachea")
DESCRIPTION = "Organs, vessels and bones of the trunk in CT at {:g} mm: calibrated HU, a small U-Net, anatomical rules."
SMALLER = " One of the smaller networks beside ctatlas/base, for ensembles and disagreement."
NOT_FOR = (
    "Clinical use, volumetry of single patients, children, tumours; validated on one patient against machine labels."
)
PATIENT_DATA = {
    "ts-example": "one labelled CT (ts-example)",
    "torso": "four unlabelled CTs",
    "spl-abdomen": "one patient's label map (SPL)",
    "cort-prostate": "one pelvis (CORT)",
}
TOLD_APART = {"seed", "steps", "widths", "without", "begun_from", "taught_by"}
DATA = {
    "phantom": "unseen phantoms (seed 90001)",
    "label map": "unseen completions of four label maps (seed 90001)",
    "real": "lidc-0001, native 1.5 mm grid, labels by TotalSegmentator v2",
    "held out": "ts-example, 3 mm grid, labels by TotalSegmentator v2; by a model that never saw it",
}


def card_text(
    folder: Path,
    figures: list[dict[str, Any]],
    training: Mapping[str, Any],
    version: str,
    *,
    name: str = "base",
    overlap: float = 0.5,
) -> str:
    """Return the card of a trained network, `name` of `members.toml`, as TOML; `training` tells its voxels, windows."""
    weights = sha256_file(folder / "network.onnx")
    judged = statuses(figures, looks_wrong(weights))
    scale = {**scale_of(TrainConfig()), **training}
    grid_mm, window = scale["grid_mm"], scale["large_patch"]
    rank = ["not_usable", "experimental", "usable"]
    out = [
        f'name = "ctatlas/{name}"',
        f'version = "{version}"',
        'license = "Apache-2.0; the sources of its training data keep theirs, named below"',
        'commercial_use = "yes"',
        f'description = "{DESCRIPTION.format(grid_mm)}{SMALLER if name != "base" else ""}"',
        f'not_for = "{NOT_FOR}"',
        'citation = "see CITATION.cff of ctatlas"',
        "",
        "[input]",
        f"spacing_mm = [{grid_mm}, {grid_mm}, {grid_mm}]",
        'orientation = "RAS"',
        "channels = [",
        *(f"  {{ clip = [{low}, {high}], subtract = {minus}, divide = {by} }}," for low, high, minus, by in CHANNELS),
        "]",
        "",
        "[window]",
        f"shape = [{window}, {window}, {window}]",
        f"overlap = {overlap}",
        "",
        "[weights]",
        'file = "network.onnx"',
        f'sha256 = "{weights}"',
        "",
        "[calibrated]",
        f"structures = {json.dumps(list(CALIBRATED))}",
    ]
    for each in trained_classes():
        role = "background" if each.channel == 0 else "auxiliary" if each.name in AUXILIARY else "structure"
        out += ["", "[[classes]]", f"channel = {each.channel}", f'name = "{each.name}"', f'role = "{role}"']
        names = [each.name]
        if each.name in SPLIT:
            names = [f"{SPLIT[each.name]}_{side}" for side in ("left", "right")]
            out.append(f'split = {{ left = "{names[0]}", right = "{names[1]}" }}')
        if role == "structure":
            out.append(f'status = "{min((judged.get(name, "experimental") for name in names), key=rank.index)}"')
    out += ["", "[[rules]]", 'kind = "table"', 'name = "torso"', 'source = "anatomy_rules/data/torso.toml"']
    for row in figures:
        if row["mean_dice"] is not None:
            prior = "" if row["prior_dice"] is None else f"position prior {row['prior_dice']:.3f}"
            out += [
                "",
                "[[evidence]]",
                f'structure = "{row["structure"]}"',
                f'data = "{DATA[row["sort"]]}"',
                f"n = {row['n']}",
            ]
            out += ['metric = "mean Dice"', f"value = {row['mean_dice']:.4f}", f'note = "{prior}"']
    table = tomllib.loads(files("ctatlas.training").joinpath("data", "attributions.toml").read_text(encoding="utf-8"))
    for row in table["attribution"]:
        if row.get("source") in training.get("without", ()):
            continue
        out += ["", "[[attribution]]", f"text = {json.dumps(row['text'], ensure_ascii=False)}"]
    out += ["", "[training]", *(f"{key} = {json.dumps(value)}" for key, value in training.items())]
    return "\n".join(out) + "\n"


def scale_of(config: TrainConfig) -> dict[str, float]:
    """Return what of a run decides how its network looks at scans."""
    return {"grid_mm": config.grid_mm, "large_patch": config.large_patch}


def unusual(config: TrainConfig) -> dict[str, Any]:
    """Return by name what of a run is neither as usual nor told by the other words of its command."""
    usual = asdict(TrainConfig())
    return {name: value for name, value in asdict(config).items() if value != usual[name] and name not in TOLD_APART}


def main(
    folder: Annotated[Path, typer.Argument(help="Holds network.onnx; card.toml is written beside it.")],
    run: Annotated[Path, typer.Argument(help="The run that it was exported from.")],
    *,
    evidence: Annotated[Path | None, typer.Option(help="JSON of benchmarks/base_model.py.")] = None,
    commit: Annotated[str, typer.Option(help="Commit whose trainer made the weights.")] = "",
    name: Annotated[str, typer.Option("--member", help="Its row of members.toml.")] = "base",
    version: str = "0.2",
    overlap: Annotated[float, typer.Option(help="Of windows, as a share of their length.")] = 0.5,
) -> None:
    """Write the card."""
    figures = json.loads(evidence.read_text())["summary"] if evidence else []
    config = config_of(run)
    script = f"base FOLDER DATA --member {name}" + (" --begin-from MODEL" if config.begun_from else "")
    script += "".join(f" --set {name}={value}" for name, value in unusual(config).items())
    if config.taught_by:
        script = f"self_training FOLDER DATA {' '.join('--teacher MODEL' for _ in config.taught_by)}"
    training = {
        "script": f"python -m ctatlas.training.{script} --steps {config.steps}",
        "commit": commit,
        "seed": config.seed,
        "steps": config.steps,
        **scale_of(config),
        "widths": list(config.widths),
        "without": list(config.without),
        "patient_data": ", ".join(text for source, text in PATIENT_DATA.items() if source not in config.without),
    }
    if config.begun_from:
        training["begun_from"] = config.begun_from
    if config.taught_by:
        training["taught_by"] = list(config.taught_by)
    text = card_text(folder, figures, training, version, name=name, overlap=overlap)
    (folder / "card.toml").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
