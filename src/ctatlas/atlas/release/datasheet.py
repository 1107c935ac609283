"""DATASHEET.md: seven sections of questions; the answers that are known, and open ones marked.

Source: Gebru et al., "Datasheets for Datasets", Communications of the ACM 64(12), 2021.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType

from ctatlas.atlas.release.facts import SOURCES, STRUCTURE_COLUMNS, Facts, markdown_table

DATASHEET = "DATASHEET.md"
OPEN = "**To be answered.**"
_QUESTIONS = Path(__file__).parent / "data" / "questions.csv"


@cache
def questions() -> tuple[dict[str, str], ...]:
    """Return the questions in their order: section, key, question."""
    with _QUESTIONS.open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file, strict=True))


def datasheet(facts: Facts) -> str:
    """Write the page."""
    lines = [f"# Datasheet of {facts.title}", ""]
    section = ""
    for row in questions():
        if row["section"] != section:
            section = row["section"]
            lines += [f"## {section}", ""]
        lines += [f"**{row['question']}**", "", _answer(row["key"], facts), ""]
    return "\n".join(lines)


def open_questions(text: str) -> int:
    """Count the questions of a datasheet that nobody has answered."""
    return text.count(OPEN)


def _answer(key: str, facts: Facts) -> str:
    known = _ANSWERS[key](facts) if key in _ANSWERS else ""
    told = " ".join(facts.config.release.answers.get(key, "").split())
    both = "\n\n".join(text for text in (known, told) if text)
    return both or f'{OPEN} (`{key} = "…"` under `[release.answers]` of atlas.toml)'


def _makers(facts: Facts) -> str:
    return ", ".join(facts.config.release.creators)


def _instances(facts: Facts) -> str:
    n = len(facts.cases)
    known = sum(bool(case.patient) for case in facts.cases)
    whose = f"{facts.n_patients} patients are told apart in {known} cases." if known else "Patients are not told apart."
    held = {
        "all": f"{n} CT scans with {facts.record.masks} masks",
        "images": f"{n} CT scans without masks",
        "masks": f"{facts.record.masks} masks of {n} CT scans, which are not part of it",
    }
    table = markdown_table(["scans", "least", "median", "most"], facts.ranges())
    return f"A case is one CT scan: {held[facts.record.content]}. {whose}\n\n{table}"


def _sample(facts: Facts) -> str:
    return "Cases by source:\n\n" + markdown_table(["dataset", "cases", "licence", "where"], facts.dataset_rows())


def _labels(facts: Facts) -> str:
    if not facts.record.masks:
        return ""
    parts = [f"{facts.record.sources[kind]} {kind} ({_share(kind, facts)})" for kind in SOURCES]
    meaning = (
        "Original masks came with the source dataset, revised ones were corrected by a person or a rule, pseudo ones "
        "predicted by models; absent means that the source annotated the structure and did not find it."
    )
    return (
        f"Of the masks are {', '.join(parts)}. {meaning}\n\n{markdown_table(STRUCTURE_COLUMNS, facts.structure_rows())}"
    )


def _share(kind: str, facts: Facts) -> str:
    return f"{100 * facts.record.sources[kind] / facts.record.masks:.1f} %"


def _missing(facts: Facts) -> str:
    unknown = sum(len(case.not_known.split(";")) for case in facts.cases if case.not_known)
    note = (
        f"In {unknown} places a case has no mask of a structure, because nobody annotated, revised or predicted it "
        "(`not_known` in `manifest/cases.csv`); 0 in the combined labels does not mean there that it is absent."
    )
    return "\n\n".join([*facts.record.left_out, *([note] if unknown else [])]) or "Nothing that is known."


def _relations(facts: Facts) -> str:
    duplicates = sum(bool(case.duplicate_of) for case in facts.cases)
    near = sum(bool(case.near_duplicates) for case in facts.cases)
    return (
        "Scans of one patient share `patient` in `manifest/cases.csv`; "
        f"{duplicates} cases have the same voxels as an earlier one (`duplicate_of`), {near} look like another "
        "(`near_duplicates`)."
    )


def _splits(facts: Facts) -> str:
    if set(facts.splits) == {""}:
        return ""
    counts = ", ".join(f"{split or 'without a split'}: {n}" for split, n in facts.splits.items())
    return f"Cases by split: {counts}. No patient and no scan, exact or near duplicate, is in two splits."


def _errors(facts: Facts) -> str:
    lost = sum(facts.tally.lost_ml)
    if not facts.record.masks:
        return ""
    return (
        f"Masks that claimed the same voxels were settled by rule: {lost:.1f} mL in all "
        "(`lost_ml`, `won_ml` in `manifest/masks.csv`). Pseudo masks were checked by no person."
    )


def _confidential(facts: Facts) -> str:  # noqa: ARG001 - every answer's
    return "Image headers hold geometry only: no names, dates or texts. Scans of the head can show a face."


def _preprocessing(facts: Facts) -> str:
    repaired = sum(bool(case.repairs) for case in facts.cases)
    mended = f"; {repaired} scans were mended, as `repairs` in `manifest/cases.csv` says" if repaired else ""
    return (
        "Voxels and geometry are those of the source, in one NIfTI file a scan, de-identified: no value was clipped, "
        f"nothing resampled or cropped{mended}. Masks lie on the grid of their scan."
    )


def _labelling(facts: Facts) -> str:
    if not facts.record.masks:
        return ""
    models = sorted(facts.tally.models)
    by = f" Pseudo masks are by: {'; '.join(models)}." if models else ""
    return (
        "By the loop of ctatlas: models predict, rules and the disagreement of models say where to look, people "
        f"correct, one mask a structure is assembled by priority.{by} `manifest/masks.csv` says it for each mask."
    )


def _annotators(facts: Facts) -> str:
    several = facts.tally.dices
    revised = facts.record.sources["revised"]
    if not facts.record.masks:
        return ""
    if not several:
        return f"Revised masks: {revised}; none by several people, so that their agreement is not known."
    return f"{len(several)} masks were revised by several people, who agree with a mean Dice of {_mean(several):.3f}."


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _raw(facts: Facts) -> str:
    return (
        "Each case names its source (`dataset`, `source_case`, `url`) and the hash of its voxels. "
        f"Made with {facts.record.made_with}."
    )


def _limits(facts: Facts) -> str:  # noqa: ARG001 - every answer's
    return "Not for clinical use."


def _licence(facts: Facts) -> str:
    own = f"Masks made here: {facts.record.licence}. " if facts.record.licence else ""
    theirs = "; ".join(facts.licences)
    return f"{own}Scans and original masks keep the terms of their sources{f': {theirs}' if theirs else ''}."


def _doubts(facts: Facts) -> str:
    return "\n".join(f"- {OPEN} {doubt}" for doubt in facts.record.doubts) or "None that are known."


def _updates(facts: Facts) -> str:
    return (
        f"This is version {facts.record.version}, which never changes. A later version keeps the ids of cases; "
        "`ctatlas release diff` says what changed."
    )


_ANSWERS: Mapping[str, Callable[[Facts], str]] = MappingProxyType(
    {
        "purpose": lambda facts: facts.record.description,
        "makers": _makers,
        "instances": _instances,
        "sample": _sample,
        "labels": _labels,
        "missing": _missing,
        "relations": _relations,
        "splits": _splits,
        "errors": _errors,
        "confidential": _confidential,
        "preprocessing": _preprocessing,
        "labelling": _labelling,
        "annotators": _annotators,
        "raw": _raw,
        "limits": _limits,
        "licence": _licence,
        "where": lambda facts: facts.config.release.url,
        "doubts": _doubts,
        "contact": lambda facts: facts.config.release.contact,
        "updates": _updates,
    }
)
