"""From what each case gave to one evaluation: who is missing is known only when all cases were looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from ctatlas.benchmark.evaluate.case import CaseResult, Measuring, rows_without_values
from ctatlas.benchmark.evaluate.evaluation import Evaluation, Failure
from ctatlas.benchmark.evaluate.lesions import ALL, counted_lesions
from ctatlas.benchmark.evaluate.matching import matched
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.benchmark.evaluate.patients import KnownOfCases
from ctatlas.benchmark.evaluate.volumes import agreements
from ctatlas.execution import Outcome
from ctatlas.measure.detection import LesionCase
from ctatlas.measure.records import Measurement

_STAGES = {"missing_prediction": "prediction", "geometry_mismatch": "geometry"}


def gathered(
    outcomes: Iterable[Outcome],
    measuring: Measuring,
    surplus: Sequence[str],
    facts: Mapping[str, object],
    known: KnownOfCases,
) -> Evaluation:
    """Put the cases together.

    A structure that the prediction of one case lacks and that of another has is missing; one that no prediction has is
    none of the model's, unless it was asked for by name.

    Parameters
    ----------
    outcomes : iterable of Outcome
        In the order of the cases; their summaries are records of `CaseResult`.
    measuring : Measuring
    surplus : sequence of str
        Predictions that have no reference.
    facts : mapping
        For `run.json`.
    known : KnownOfCases
        Whose each case is.
    """
    done = list(outcomes)
    results = _without_strangers([CaseResult.of(outcome.summary) for outcome in done if outcome.state != "failed"])
    told = tuple(dict.fromkeys(name for result in results for name in result.told))
    asked = (*told, *(name for name in measuring.structures if name not in told))
    if not told:  # nobody knows what the model finds: all of the reference
        asked = tuple(dict.fromkeys(name for result in results for name in result.untold))
    rows = [row for result in results for row in (*result.rows, *_missing(result, asked, measuring))]
    lesions = [listed for result in results for listed in result.lesions]
    return Evaluation(
        measurements=tuple(rows),
        failures=tuple(_failures(done, {result.case: result for result in results})),
        notes=(*_of_cases(results), *_of_all(results, rows, surplus), *_of_lesions(lesions, measuring)),
        facts=facts,
        lesions=counted_lesions(lesions, measuring.lesion_rule, known),
        volumes=agreements((pair for result in results for pair in result.volumes), known.patients),
    )


def _without_strangers(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Leave out numbers without names that no reference has: the model knows more than was annotated."""
    known = {row.structure for result in results for row in result.rows if row.structure not in result.supposed}
    known |= {name for result in results for name in result.untold}
    return [_without(result, {name for name in result.supposed if name not in known}) for result in results]


def _without(result: CaseResult, names: set[str]) -> CaseResult:
    return replace(
        result,
        rows=tuple(row for row in result.rows if row.structure not in names),
        not_annotated=(*result.not_annotated, *sorted(names)),
    )


def _missing(result: CaseResult, asked: tuple[str, ...], measuring: Measuring) -> list[Measurement]:
    there = {row.structure for row in result.rows}
    names = [name for name in matched(result.untold, asked, measuring.structures).names if name not in there]
    return rows_without_values(result.case, names, measuring, "missing_prediction") if names else []


def _failures(outcomes: Iterable[Outcome], results: Mapping[str, CaseResult]) -> Iterator[Failure]:
    for outcome in outcomes:
        if outcome.state == "failed":
            yield Failure(outcome.case, outcome.stage, outcome.reason)
        elif (result := results[outcome.case]).state in _STAGES:
            yield Failure(result.case, _STAGES[result.state], result.reason)


def _of_cases(results: Sequence[CaseResult]) -> Iterator[Note]:
    """Tell what concerns cases; what is put together in the same way in many of them is told once."""
    unions = Counter(note for result in results for note in result.notes if note.kind == "put_together")
    for note, n in unions.items():
        yield replace(note, message=f"{note.message} in {n} of {len(results)} cases")
    for result in results:
        yield from (replace(note, case=result.case) for note in result.notes if note.kind != "put_together")


def _of_all(results: Sequence[CaseResult], rows: Iterable[Measurement], surplus: Sequence[str]) -> Iterator[Note]:
    """Tell what concerns structures rather than cases, once for each."""
    measured = {row.structure for row in rows}
    untold = Counter(name for result in results for name in result.untold)
    for name in [name for name in untold if name not in measured]:
        text = (
            "annotated, but no prediction tells about it: not evaluated; name it in --structures to count it as missing"
        )
        yield Note("not_predicted", text, structure=name)
    for name, n in Counter(name for result in results for name in result.not_annotated).items():
        text = f"predicted, but not annotated in {n} of {len(results)} cases: not evaluated there"
        yield Note("not_annotated", text, structure=name)
    for case in surplus:
        yield Note("surplus_prediction", "has a prediction and no reference", case=case)


def _of_lesions(cases: Iterable[LesionCase], measuring: Measuring) -> Iterator[Note]:
    """Tell whose lesions were asked for and nowhere compared."""
    listed = {case.structure for case in cases}
    for name in measuring.lesions:
        if name not in listed and not (name == ALL and listed):
            what = "structure that is a lesion" if name == ALL else "such structure"
            yield Note("no_lesions", f"lesions were to be listed, but no case compares a {what}", structure=name)
