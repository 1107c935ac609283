"""What a person gets for one scan.

`naming` decides which structures and what they are called, `preview` draws them, `folder` writes masks, numbers and
picture.
"""

from ctatlas.results.folder import NOTICE, Extras, Found, expected_bytes, expected_files, write_results
from ctatlas.results.naming import Naming, name_outputs

__all__ = ["NOTICE", "Extras", "Found", "Naming", "expected_bytes", "expected_files", "name_outputs", "write_results"]
