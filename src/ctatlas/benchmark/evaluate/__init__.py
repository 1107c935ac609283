"""Predictions against references, case by case → one row a number.

`layouts` lists the cases of a place → `pairing` matches them by id → for each, in processes of their own (`case`):
`reading` gives masks under canonical names, `geometry` brings them onto one grid, `matching` finds what is compared,
`ctatlas.measure` measures, `sides` notices what is swapped → `gathering` puts the cases together → `writing` makes
tables, `worst` and `picture` show what went wrong. `run` is all of it as one function; `notes` are the words for what
a person should know.
"""

from ctatlas.benchmark.evaluate.evaluation import Evaluation, Failure, StructureSummary
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.benchmark.evaluate.run import Options, evaluate, planned

__all__ = ["Evaluation", "Failure", "Note", "Options", "StructureSummary", "evaluate", "planned"]
