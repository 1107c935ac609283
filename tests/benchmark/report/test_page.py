from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest

from ctatlas.benchmark.analysis import Analysis, Choices, analyse
from ctatlas.benchmark.published import chosen
from ctatlas.benchmark.report.page import page
from tests.benchmark.test_figures import own_results
from tests.support.results_tables import Generated, generate


def text_of(analysis: Analysis, **choices: object) -> str:
    return page(analysis, {}, command="ctatlas benchmark results --out report", **choices)  # type: ignore[arg-type]


def words_of(html: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.replace("\u202f", " ")))


@pytest.fixture(scope="module")
def analysis(generated: Generated) -> Analysis:
    return analyse(generated.folder, generated.metadata, Choices(resamples=200))


@pytest.fixture(scope="module")
def html(analysis: Analysis) -> str:
    return text_of(analysis, published=chosen(["all"]))


def test_the_summary_says_who_leads_and_the_number_is_that_of_the_table(analysis: Analysis, html: str) -> None:
    (mean,) = [
        row.mean
        for row in analysis.summary
        if (row.model, row.metric, row.cohort, row.mean_kind, row.ddof)
        == ("net-a", "dsc", "common", "per_structure", 1)
    ]
    assert f"By DSC net-a leads with {mean:.1f} %" in words_of(html)


def test_the_methods_state_what_was_done(html: str) -> None:
    words = words_of(html)
    for stated in (
        "4 models were evaluated on 90 cases and 9 structures by DSC and NSD.",
        "200 bootstrap draws of patients (seed 0)",
        "corrected by Holm over all ordered pairs of models on one structure and one metric (m = 12)",
        "zero differences dropped",
        "ddof 1",
        "Sub-groups were made by age, gender, institute",
    ):
        assert stated in words


def test_whose_values_at_which_tolerance_is_stated_or_that_it_is_not(html: str, tmp_path: Path) -> None:
    assert "The results do not state the tolerance of NSD." in words_of(html)
    folder = own_results(tmp_path)
    assert "Values follow the definitions of surfel as ctatlas has them." in words_of(
        text_of(analyse(folder, choices=Choices(resamples=100, metrics=("dsc", "nsd"))))
    )
    for table in folder.glob("*/metrics.csv"):
        rows = pd.read_csv(table)
        rows[rows.tolerance_mm != 2].to_csv(table, index=False)
    assert "NSD is at 1 mm." in words_of(text_of(analyse(folder, choices=Choices(resamples=100))))
    for table in folder.glob("*/metrics.csv"):
        rows = pd.read_csv(table)
        rows.loc[(rows.metric == "nsd") & (rows.structure == "liver"), "tolerance_mm"] = 5.0
        rows.to_csv(table, index=False)
    assert "NSD is at 1 to 5 mm, by structure." in words_of(text_of(analyse(folder, choices=Choices(resamples=100))))


def test_other_choices_are_stated_too(generated: Generated) -> None:
    choices = Choices(resamples=100, family="all", zeros="zsplit", alpha=0.01, seed=7)
    words = words_of(text_of(analyse(generated.folder, choices=choices)))
    assert "on all structures and metrics (m = 240), at a level of 0.01" in words
    assert "the ranks of zero differences split between the signs" in words
    assert "(seed 7)" in words
    assert "Sub-groups" not in words


def test_what_misleads_stands_before_the_methods(html: str) -> None:
    assert 0 < html.index("Models on different cases") < html.index("<h2>Methods<")
    assert "net-c, DSC: was evaluated on 75 of 90 cases" in words_of(html)


def test_published_figures_stand_beside_measured_ones_of_the_same_model(tmp_path: Path) -> None:
    made = generate(tmp_path, 2, 30)
    (made.folder / "net-a").rename(made.folder / "nnU-Net_MedNeXt")
    words = words_of(
        text_of(analyse(made.folder, choices=Choices(resamples=100)), published=chosen(["touchstone-jhh"]))
    )
    assert re.search(r"MedNeXt here nnU-Net_MedNeXt 89\.2 \d+\.\d \[", words)
    assert "MedFormer 89.0 –" in words
    assert "licence CC BY-NC-ND" in words


def test_what_was_not_measured_is_not_compared(html: str) -> None:
    assert "None of these models was measured here." in words_of(html)


def test_nothing_of_the_page_lies_elsewhere(html: str) -> None:
    places = re.findall(r'(?:src|href)="([^"#]*)', html)
    assert {place for place in places if place and not place.startswith("data:")} == set()
    assert not re.findall(r"@import|url\(", html)


def test_names_of_strangers_stay_text(tmp_path: Path) -> None:
    made = generate(tmp_path, 2, 30)
    (made.folder / "net-b").rename(made.folder / "<script>alert(1)<")
    html = text_of(analyse(made.folder, choices=Choices(resamples=100)))
    assert "<script" not in html
    assert "&lt;script&gt;alert(1)&lt;" in html


def test_own_results_tell_false_positives_and_missing_predictions(tmp_path: Path) -> None:
    words = words_of(text_of(analyse(own_results(tmp_path), choices=Choices(resamples=100))))
    assert "2 of 50 [" in words
    assert "those of volume error ml and volume error, for which this page has no room" in words
    assert "0 of 25" in words


def test_one_model_has_a_page_without_comparisons(tmp_path: Path) -> None:
    made = generate(tmp_path, 1, 30)
    words = words_of(text_of(analyse(made.folder, made.metadata, Choices(resamples=100))))
    assert "By DSC net-a leads with" in words
    assert "Pairs of models" not in words


def test_models_without_a_common_case_have_a_page(tmp_path: Path) -> None:
    made = generate(tmp_path, 1, 30)
    rows = (made.folder / "net-a" / "dsc.csv").read_text()
    (made.folder / "other").mkdir()
    (made.folder / "other" / "dsc.csv").write_text(rows.replace("\ns", "\nt"))
    (made.folder / "net-a" / "nsd.csv").unlink()
    words = words_of(text_of(analyse(made.folder, choices=Choices(resamples=100))))
    assert "no case has a value of every model" in words
