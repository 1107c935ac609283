"""`ctatlas models`: which models are here, and what can be done with them; one module a command."""

from __future__ import annotations

import typer

from ctatlas.commands.models import bring, embed, export, info, listing, logits, pull, verify

EXAMPLE = info.EXAMPLE
app = typer.Typer(help="Which models there are, what their cards say, how to get them.", epilog=f"Example: {EXAMPLE}")

app.command("list", epilog=f"Example: {listing.EXAMPLE}")(listing.list_models)
app.command("info", epilog=f"Example: {info.EXAMPLE}")(info.info)
app.command("pull", epilog=f"Example: {pull.EXAMPLE}")(pull.pull)
app.command("import", epilog=f"Example: {bring.EXAMPLE}")(bring.import_model)
app.command("verify", epilog=f"Example: {verify.EXAMPLE}")(verify.verify)
app.command("export", epilog=f"Example: {export.EXAMPLE}")(export.export)
app.command("logits", epilog=f"Example: {logits.EXAMPLE}")(logits.logits)
app.command("embed", epilog=f"Example: {embed.EXAMPLE}")(embed.embed)
