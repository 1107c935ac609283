"""`ctatlas doctor`: what works on this machine and what is missing."""

from __future__ import annotations

from ctatlas.commands.console import say, say_json
from ctatlas.commands.options import AsJson, Debug

EXAMPLE = "ctatlas doctor"
_SIGNS = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}


def doctor(*, json: AsJson = False, debug: Debug = False) -> None:  # noqa: ARG001 - debug is read by the program
    """Say what works on this machine and what is missing.

    What is missing is optional; what is broken keeps ctatlas from segmenting, and the exit code is 2 then.
    """
    import typer

    from ctatlas.commands.checks import all_checks

    checks = list(all_checks())
    broken = [check for check in checks if check.state == "broken"]
    if json:
        say_json({"able_to_segment": not broken, "checks": [check.as_dict() for check in checks]})
    else:
        for check in checks:
            say(f"{_SIGNS[check.state]} {check.name}: {check.found}" + (f" → {check.remedy}" if check.remedy else ""))
        say("\nAble to segment." if not broken else f"\nNot able to segment: {len(broken)} things are broken.")
    if broken:
        raise typer.Exit(2)
