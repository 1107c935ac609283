"""The index of an atlas: a database that answers at once, and that can be made anew from the files.

`tables` says what is kept → `rows` reads a case's files into rows → `engines` reaches the database, `schema` brings it
up to date → `catalog` fills it → `questions` asks it. Nothing is written here that the files do not say.
"""

from ctatlas.atlas.catalog.catalog import Catalog, opened_catalog
from ctatlas.atlas.catalog.questions import case_count, label_counts

__all__ = ["Catalog", "case_count", "label_counts", "opened_catalog"]
