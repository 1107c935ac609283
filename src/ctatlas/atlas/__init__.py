"""An annotated collection of many cases.

`atlas` opens it: `config` is what people decide (`atlas.toml`), `layout` where the files lie, `records` what the JSON
files say, `catalog` the index that is made from them, `lock` who may write, `shards` who does which part. The steps, in
the order of the loop: add → predict → attend → check → revise → assemble → release.
"""

from ctatlas.atlas.atlas import Atlas
from ctatlas.atlas.config import AtlasConfig

__all__ = ["Atlas", "AtlasConfig"]
