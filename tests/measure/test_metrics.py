from __future__ import annotations

import pytest

from ctatlas.errors import ModelError
from ctatlas.measure.counts import COUNT_METRICS
from ctatlas.measure.metrics import chosen_metrics, metrics


def test_every_metric_of_counts_has_its_formula() -> None:
    assert {name for name, metric in metrics().items() if metric.needs == "counts"} == set(COUNT_METRICS)


def test_units_are_those_of_records() -> None:
    assert {metric.unit for metric in metrics().values()} == {"fraction", "mm", "mL"}


def test_metrics_are_chosen_once_and_in_the_order_asked_for() -> None:
    assert [metric.name for metric in chosen_metrics(["hd95", "dsc", "hd95"])] == ["hd95", "dsc"]


@pytest.mark.parametrize(("names", "line"), [(["dcs"], "no metric 'dcs'; there are dsc, iou"), ([], "no metric was")])
def test_an_unknown_metric_and_none_at_all_are_refused(names: list[str], line: str) -> None:
    with pytest.raises(ModelError, match=line):
        chosen_metrics(names)
