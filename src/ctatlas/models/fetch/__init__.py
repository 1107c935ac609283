"""Files from elsewhere, whole or not at all.

`address` says where a source lies → `connection` asks for it, and goes where it is sent only as far as is safe →
`downloads` writes it down, and goes on where it was cut (`parts`) → `first_bytes` tells weights from web pages →
`archive` takes out of a zip what a model needs, and nothing that leaves its folder; `folders` does so on the hub.
"""

from ctatlas.models.fetch.address import Address, resolve
from ctatlas.models.fetch.downloads import Expected, Got, download
from ctatlas.models.fetch.folders import download_folder, is_folder

__all__ = ["Address", "Expected", "Got", "download", "download_folder", "is_folder", "resolve"]
