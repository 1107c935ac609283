"""Predictions against references, case by case → one row a number.

`layouts` lists the cases of a place → `pairing` matches them by id → for each, in processes of their own (`case`):
`reading` gives masks under canonical names, `geometry` brings them onto one grid, `matching` finds what is compared,
`ctatlas.measure` measures, `sides` notices what is swapped → `gathering` puts the cases together → `writing` makes
tables, `worst`, `picture` and `pictures` show what went wrong; `lesions` and `volumes` list more of a case.
`asked` is what was asked for, `run` all of it as one function; `notes` are the words for what a person should know.
"""

from ctatlas.benchmark.evaluate.asked import Options
from ctatlas.benchmark.evaluate.evaluation import Evaluation, Failure, StructureSummary
from ctatlas.benchmark.evaluate.notes import Note
from ctatlas.benchmark.evaluate.run import evaluate, planned

__all__ = ["Evaluation", "Failure", "Note", "Options", "StructureSummary", "evaluate", "planned"]
