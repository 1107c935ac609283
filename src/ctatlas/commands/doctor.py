"""`ctatlas doctor`: what works on this machine and what is missing; or what is wrong with an atlas."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ctatlas.commands.console import say, say_json
from ctatlas.commands.options import AsJson, Debug, flag

EXAMPLE = "ctatlas doctor"
_SIGNS = {"ok": "ok     ", "missing": "missing", "broken": "BROKEN "}
_BROKEN = 2


def doctor(
    atlas: Annotated[Path | None, typer.Argument(metavar="[ATLAS]", help="An atlas folder to look through.")] = None,
    *,
    fix: Annotated[bool, flag("--fix", text="Of an atlas: remove what interrupted steps left behind.")] = False,
    deep: Annotated[bool, flag("--deep", text="Of an atlas: compare every file with its hash.")] = False,
    json: AsJson = False,
    debug: Debug = False,  # noqa: ARG001 - read by the program
) -> None:
    """Say what works on this machine and what is missing; of an atlas what is wrong, and mend its index.

    What is missing is optional; what is broken keeps ctatlas from segmenting, and the exit code is 2 then.
    """
    if atlas is None:
        _machine(as_json=json)
    else:
        _atlas(atlas, fix=fix, deep=deep, as_json=json)


def _machine(*, as_json: bool) -> None:
    from ctatlas.commands.checks import all_checks

    checks = list(all_checks())
    broken = [check for check in checks if check.state == "broken"]
    if as_json:
        say_json({"able_to_segment": not broken, "checks": [check.as_dict() for check in checks]})
    else:
        for check in checks:
            say(f"{_SIGNS[check.state]} {check.name}: {check.found}" + (f" → {check.remedy}" if check.remedy else ""))
        say("\nAble to segment." if not broken else f"\nNot able to segment: {len(broken)} things are broken.")
    if broken:
        raise typer.Exit(_BROKEN)


def _atlas(folder: Path, *, fix: bool, deep: bool, as_json: bool) -> None:
    from dataclasses import asdict

    from ctatlas.atlas import Atlas
    from ctatlas.atlas.doctor import examine

    atlas = Atlas.open(folder)
    with atlas.writing():
        found = list(examine(atlas, fix=fix, deep=deep))
    left = [one for one in found if not one.mended]
    if as_json:
        say_json({"sound": not left, "found": [asdict(one) for one in found]})
    else:
        for one in found:
            say(" ".join(f"{one.where}: {one.what} → {one.mended or one.remedy}".splitlines()))
        say(f"{folder}: {'sound' if not left else f'{len(left)} things to mend'}.")
    if left:
        raise typer.Exit(_BROKEN)
