"""Figures of all kinds of results; how they look a person has judged, here that they can be drawn and say the truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from ctatlas.benchmark.analysis import Analysis, Choices, analyse
from ctatlas.benchmark.figures import significance
from ctatlas.benchmark.figures.gallery import Picture, order_of, pictures, shown_metrics
from ctatlas.benchmark.figures.style import as_png, as_svg, laid_out, short
from tests.support.results_tables import Generated, generate

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FRACTIONS = {"dsc": (0.8, 0.1), "volume_error": (0.05, 0.1)}


def own_results(folder: Path) -> Path:
    """Write two models with every kind of metric, two tolerances, missing predictions and false positives."""
    rng = np.random.default_rng(0)
    for m, model in enumerate(("near", "far")):
        rows = []
        for case in range(25):
            for structure in ("liver", "spleen"):
                key = {"case": f"c{case}", "structure": structure, "implementation": "surfel"}
                lost = case == 3 and m == 1
                status = "missing_prediction" if lost else "ok"
                values = {
                    ("dsc", np.nan): 0.9 - 0.1 * m + rng.normal(0, 0.03),
                    ("nsd", 1.0): 0.8 - 0.1 * m + rng.normal(0, 0.03),
                    ("nsd", 2.0): 0.9 - 0.1 * m + rng.normal(0, 0.03),
                    ("hd95", np.nan): 3 + 2 * m + rng.random(),
                    ("volume_error_ml", np.nan): 50 * (relative := rng.normal(0.02, 0.05)),
                    ("volume_error", np.nan): relative,
                }
                rows += [
                    {**key, "metric": name, "tolerance_mm": mm, "value": None if lost else value, "status": status}
                    for (name, mm), value in values.items()
                ]
            rows.append(
                {"case": f"c{case}", "structure": "aorta", "metric": "dsc", "value": None, "status": "both_absent"}
            )
        (folder / model).mkdir(parents=True)
        pd.DataFrame(rows).to_csv(folder / model / "metrics.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def wide(generated: Generated) -> Analysis:
    return analyse(generated.folder, generated.metadata, Choices(resamples=100, metrics=("dsc",)))


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyse(own_results(tmp_path_factory.mktemp("own")), choices=Choices(resamples=100))


def names(analysis: Analysis) -> set[str]:
    return {picture.name for picture in pictures(analysis)}


def named(analysis: Analysis, name: str) -> Picture:
    return next(picture for picture in pictures(analysis) if picture.name == name)


def test_results_with_metadata_have_figures_of_all_sections(wide: Analysis) -> None:
    sections = {picture.section for picture in pictures(wide)}
    assert sections == {"overall", "ranking", "pairs", "structures", "subgroups", "cases"}


def test_own_results_have_volumes_and_tolerances_and_no_groups(own: Analysis) -> None:
    assert {"volumes", "tolerance", "raincloud_hd95", "significance_nsd@1mm"} <= names(own)
    beside = {picture.name for picture in pictures(own) if not picture.is_shown}
    assert {"raincloud_volume_error_ml", "significance_volume_error"} <= beside
    assert "raincloud_hd95" not in beside
    assert not any(name.startswith("groups") for name in names(own))


@pytest.fixture(scope="module")
def drawn(wide: Analysis) -> list[tuple[Picture, Figure]]:
    """Return every figure of results with metadata, laid out: that takes most of the time."""
    return [(picture, laid_out(picture.draw())) for picture in pictures(wide)]


def test_every_figure_of_every_kind_becomes_svg_and_png(drawn: list[tuple[Picture, Figure]], own: Analysis) -> None:
    only_own = ("volumes", "tolerance", "structures_hd95", "significance_volume_error", "cases_volume_error")
    for name in only_own:
        assert as_svg(named(own, name).draw()).startswith(b"<?xml")
    for picture, figure in drawn:
        assert as_svg(figure).startswith(b"<?xml")
        assert as_png(figure).startswith(b"\x89PNG")
        assert picture.caption.endswith(".")


def test_one_model_and_one_case_have_figures(tmp_path: Path) -> None:
    for n_cases in (30, 1):
        made = generate(tmp_path / str(n_cases), 1, n_cases)
        analysis = analyse(made.folder, made.metadata, Choices(resamples=100, metrics=("dsc",)))
        for picture in pictures(analysis):
            assert picture.draw().axes


def test_the_same_figure_is_the_same_bytes(wide: Analysis) -> None:
    picture = named(wide, "tau_dsc")
    assert as_svg(laid_out(picture.draw())) == as_svg(laid_out(picture.draw()))


def test_no_letter_of_a_figure_is_cut_off(drawn: list[tuple[Picture, Figure]]) -> None:
    for picture, figure in drawn:
        box = figure.get_tightbbox()
        wide_, high = figure.get_size_inches()
        assert (box.x0 > -0.03, box.y0 > -0.03) == (True, True), picture.name
        assert (box.x1 < wide_ + 0.03, box.y1 < high + 0.03) == (True, True), picture.name


def test_what_errs_both_ways_is_good_near_the_perfect_value(own: Analysis) -> None:
    """A model that is always 10 % too small is no better than one that is right."""
    scores = next(each for each in own.results.scores if each.metric.label == "volume_error")
    order = order_of(own, scores)
    (effect,) = [one for one in own.effects if (one.metric, one.structure) == ("volume_error", "average")]
    image = significance.significance_map(scores.metric, order, [], [effect]).axes[0].images[0].get_array()
    assert image is not None
    better, worse = (
        (effect.model_a, effect.model_b) if effect.wins > effect.losses else (effect.model_b, effect.model_a)
    )
    assert image[order.index(better), order.index(worse)] == pytest.approx(abs(effect.rank_biserial))
    tiles = named(own, "cases_volume_error").draw().axes[0].images[0].get_array()
    assert tiles is not None
    assert tiles.min() >= 0


def test_models_stand_in_the_order_of_their_quality(wide: Analysis, generated: Generated) -> None:
    assert order_of(wide, wide.results.scores[0])[-1] == generated.models[-1]
    distances = analyse(generated.folder, choices=Choices(resamples=100, metrics=("nsd",)))
    assert order_of(distances, distances.results.scores[0])[-1] == generated.models[-1]


def test_the_map_holds_differences_and_claims(own: Analysis) -> None:
    metric, order = own.results.scores[0].metric, order_of(own, own.results.scores[0])
    comparisons = [c for c in own.comparisons if c.metric == "dsc"]
    effects = [e for e in own.effects if e.metric == "dsc"]
    figure = significance.significance_map(metric, order, comparisons, effects)
    image = figure.axes[0].images[0].get_array()
    (dots,) = figure.axes[0].get_lines()
    drawn = {(order[int(y)], order[int(x)]) for x, y in zip(*dots.get_data(), strict=True)}
    assert (
        drawn
        == {("near", "far")}
        == {(c.better, c.worse) for c in comparisons if c.structure == "average" and c.significant}
    )
    assert image is not None
    assert image[order.index("near"), order.index("far")] > 0


def test_overlap_and_surface_are_shown_before_volumes(own: Analysis) -> None:
    assert [scores.metric.label for scores in shown_metrics(own)] == ["dsc", "nsd@1mm", "nsd@2mm", "hd95"]


def test_long_names_keep_both_ends() -> None:
    assert short("Vision_Language_Swin_UNETR_CLIP", 20) == "Vision_La…NETR_CLIP"
