"""`ctatlas benchmark`: the results of many models as statistics, figures and a report."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from ctatlas.commands.options import AsJson, Debug, Quiet, flag

if TYPE_CHECKING:
    from ctatlas.benchmark.analysis import Analysis, Choices

EXAMPLE = "ctatlas benchmark results --metadata cases.csv --out report"
Family = Literal["map", "metric", "all"]
Zeros = Literal["wilcox", "pratt", "zsplit"]
_AT_MOST_FLAGS = 12


def benchmark(
    results: Annotated[
        Path,
        typer.Argument(
            metavar="RESULTS",
            help="A folder a model: metrics.parquet or metrics.csv of 'evaluate', or dsc.csv, nsd.csv, …",
        ),
    ],
    *,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Where to write the report and its tables.")],
    metadata: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Facts about the cases: a table with a row a case.")
    ] = None,
    metrics: Annotated[
        list[str] | None, typer.Option("--metrics", "-m", help="Separated by commas; default: all that are there.")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="Sub-groups by this column only; may be given several times."),
    ] = None,
    family: Annotated[
        Family, typer.Option(help="Which tests are corrected together: of a map, of a metric, or all.")
    ] = "map",
    zeros: Annotated[Zeros, typer.Option(help="What the signed-rank test does with equal scores.")] = "wilcox",
    alpha: Annotated[float, typer.Option(min=0.0001, max=0.5, help="The level of significance.")] = 0.05,
    resamples: Annotated[int, typer.Option(min=100, max=20000, help="Bootstrap draws of patients.")] = 2000,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    at_least: Annotated[
        int, typer.Option(min=2, metavar="N", help="Fewer cases are flagged; groups of fewer are not tested.")
    ] = 10,
    published: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Published figures to stand beside the measured ones, or 'all'."),
    ] = None,
    strict: Annotated[
        bool, flag("--strict", text="Refuse, and write nothing, where something misleads or can't be read.")
    ] = False,
    json: AsJson = False,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Compare models: means with intervals, ranks with their stability, tests, sub-groups, and a report.

    What misleads is said first: models evaluated on different cases, a winner that changes with the kind of mean. What
    can't be read is left out and named, and the exit code is 3.
    """
    from ctatlas.benchmark.analysis import Choices, analyse
    from ctatlas.benchmark.files import write_tables
    from ctatlas.benchmark.published import chosen
    from ctatlas.benchmark.report.page import write_report
    from ctatlas.commands.console import say_json, showing_progress
    from ctatlas.errors import OutputError

    choices = Choices(
        metrics=tuple(name for text in metrics or () for name in text.split(",") if name),
        by=tuple(by or ()),
        resamples=resamples,
        seed=seed,
        alpha=alpha,
        family=family,
        zeros=zeros,
        at_least=at_least,
    )
    cited = chosen(published or ())
    if out.resolve().is_relative_to(results.resolve()):
        raise OutputError(f"{out}: lies inside {results}, where each folder is a model; choose another folder")
    with showing_progress(quiet=quiet or json) as progress:
        analysis = analyse(results, metadata, choices, progress=progress)
        if strict:
            _refuse_what_misleads(analysis, results)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as fault:
            raise OutputError(f"{out}: can't be made ({fault.strerror or fault}); choose another folder") from None
        files = write_tables(analysis, out)
        command = _command(results, metadata, choices, published or ())
        files += write_report(analysis, out, command=command, published=cited, progress=progress)
    if json:
        say_json(_facts(analysis, out, files))
    elif not quiet:
        _say(analysis, out)
    raise typer.Exit(3 if analysis.failed else 0)


def _refuse_what_misleads(analysis: Analysis, results: Path) -> None:
    from ctatlas.errors import TableError

    if found := [each for each in analysis.flags if each.severity != "note"]:
        text = f"{results}: {found[0].where}: {found[0].message}"
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        raise TableError(f"{text}{more}; without --strict it would be flagged and the rest compared")


def _command(results: Path, metadata: Path | None, choices: Choices, published: Sequence[str]) -> str:
    """Return the words of this call; of files and folders their names alone."""
    from dataclasses import fields
    from shlex import join

    words = ["ctatlas", "benchmark", results.resolve().name]
    if metadata:
        words += ["--metadata", metadata.name]
    words += ["--metrics", ",".join(choices.metrics)] if choices.metrics else []
    words += [word for column in choices.by for word in ("--by", column)]
    plain = {field.name: field.default for field in fields(choices) if field.name not in ("metrics", "by")}
    for name, default in plain.items():
        if (value := getattr(choices, name)) != default:
            words += [f"--{name.replace('_', '-')}", str(value)]
    words += [word for name in published for word in ("--published", name)]
    return join([*words, "--out", "report"])


def _facts(analysis: Analysis, out: Path, files: list[str]) -> dict[str, Any]:
    from collections import Counter
    from dataclasses import asdict

    return {
        "models": list(analysis.results.models),
        "cases": len(analysis.results.cases),
        "structures": list(analysis.results.structures),
        "metrics": [scores.metric.label for scores in analysis.results.scores],
        "files": [str(out / name) for name in files],
        "flags": dict(Counter(flag.severity for flag in analysis.flags)),
        "warnings": [asdict(flag) for flag in analysis.flags if flag.severity != "note"][:1000],
    }


def _say(analysis: Analysis, out: Path) -> None:
    from ctatlas.commands.console import say, say_table, tell

    for scores in analysis.results.scores:
        label = scores.metric.label
        ranking = next((r for r in analysis.rankings if r.metric == label and r.mean_kind == "per_structure"), None)
        if ranking is None:
            continue
        ci = {
            row.model: (row.ci_low, row.ci_high, row.n)
            for row in analysis.summary
            if (row.metric, row.cohort, row.mean_kind, row.ddof) == (label, "common", "per_structure", 1)
        }
        unit, n = scores.metric.unit, scores.metric.digits
        rows = [
            [row.model, f"{row.value:.{n}f}", f"{ci[row.model][0]:.{n}f} to {ci[row.model][1]:.{n}f}", _places(row)]
            for row in ranking.rows()
        ]
        say(f"{scores.metric.title}, {unit}: mean per structure over {ranking.n} cases that all models have\n")
        say_table(["model", "mean value", "95 % interval", "rank"], rows)
        say("")
    shown = [flag for flag in analysis.flags if flag.severity != "note"]
    for each in shown[:_AT_MOST_FLAGS]:
        tell(f"{each.where}: {each.message}")
    if len(shown) > _AT_MOST_FLAGS:
        tell(f"and {len(shown) - _AT_MOST_FLAGS} more in {out / 'warnings.csv'}")
    say(f"Report: {out / 'report.html'}")


def _places(row: Any) -> str:
    drawn = "" if row.rank_low != row.rank_low else f" ({row.rank_low:.0f} to {row.rank_high:.0f})"
    return f"{row.rank:g}{drawn}"
