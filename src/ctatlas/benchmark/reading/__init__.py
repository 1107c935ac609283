"""Results and metadata as people have them, and how they come onto common axes.

text      a table of text: encoding, delimiter, numbers
measured  what one table says about one model and metric
wide      a row a case, a column a structure: dsc.csv, nsd.csv
own       a row a measurement: metrics.parquet, metrics.csv
folders   which tables lie in a folder of results
joining   many models onto the same cases and structures
metadata  facts about the cases
"""

from ctatlas.benchmark.reading.folders import read_results
from ctatlas.benchmark.reading.metadata import Metadata, read_metadata

__all__ = ["Metadata", "read_metadata", "read_results"]
