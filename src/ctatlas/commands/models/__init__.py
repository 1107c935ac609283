"""`ctatlas models`: which models are here, and what can be done with them; one module a command."""

from __future__ import annotations

import typer

from ctatlas.commands.models import info, listing, logits

EXAMPLE = info.EXAMPLE
app = typer.Typer(help="Which models are here, and what their cards say.", epilog=f"Example: {EXAMPLE}")

app.command("list", epilog=f"Example: {listing.EXAMPLE}")(listing.list_models)
app.command("info", epilog=f"Example: {info.EXAMPLE}")(info.info)
app.command("logits", epilog=f"Example: {logits.EXAMPLE}")(logits.logits)
