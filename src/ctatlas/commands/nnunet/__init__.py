"""`ctatlas nnunet`: nnU-Net's own commands, in its own words.

`predict` runs model folders without the package; `plan` and `train` write raw data and call the package. `words` takes
options as nnU-Net does, several values after one name.
"""

import typer

from ctatlas.commands.nnunet.plan import EXAMPLE as PLAN_EXAMPLE
from ctatlas.commands.nnunet.plan import plan
from ctatlas.commands.nnunet.predict import EXAMPLE, predict
from ctatlas.commands.nnunet.train import EXAMPLE as TRAIN_EXAMPLE
from ctatlas.commands.nnunet.train import train
from ctatlas.commands.nnunet.words import AsNnunet

app = typer.Typer(
    help="Predict with model folders of nnU-Net, and plan and train with its package, in nnU-Net's own words.",
    epilog=f"Example: {EXAMPLE}",
)
app.command("predict", cls=AsNnunet, epilog=f"Example: {EXAMPLE}")(predict)
app.command("plan", cls=AsNnunet, epilog=f"Example: {PLAN_EXAMPLE}")(plan)
app.command("train", cls=AsNnunet, epilog=f"Example: {TRAIN_EXAMPLE}")(train)

__all__ = ["EXAMPLE", "app"]
