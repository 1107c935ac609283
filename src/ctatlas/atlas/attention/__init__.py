"""Where annotators should look: pure functions from probabilities and masks to maps, hot spots and rankings.

`targets` says which structures; `ensemble` brings the members to the scan's grid; `overlaps` and `maps` mark doubt
(`limits` holds the tables); `hotspots` keeps what matters and cuts it into boxes with minutes; `case` does all of it
for one case; `rankings` sorts cases and structures. `published` is the arithmetic of AbdomenAtlas-8K, exactly. Maps
are `boxed`: only the part around a structure is held.
"""

from ctatlas.atlas.attention.boxed import Boxed
from ctatlas.atlas.attention.case import Seen, attend, ensemble_masks, hot_spots_record
from ctatlas.atlas.attention.ensemble import Ensemble, Member, combined
from ctatlas.atlas.attention.hotspots import StructureAttention, attention_of
from ctatlas.atlas.attention.limits import limits, minutes
from ctatlas.atlas.attention.maps import Cause, Doubt, Prior, doubt
from ctatlas.atlas.attention.overlaps import overlaps
from ctatlas.atlas.attention.published import (
    PublishedMaps,
    published_attention,
    published_entropy,
    published_overlaps,
    published_rules,
    published_total,
)
from ctatlas.atlas.attention.rankings import (
    Ranked,
    published_csv,
    published_order,
    published_sizes,
    ranked_cases,
    ranked_structures,
    ranking_csv,
)
from ctatlas.atlas.attention.targets import published_targets, untrusted

__all__ = [
    "Boxed",
    "Cause",
    "Doubt",
    "Ensemble",
    "Member",
    "Prior",
    "PublishedMaps",
    "Ranked",
    "Seen",
    "StructureAttention",
    "attend",
    "attention_of",
    "combined",
    "doubt",
    "ensemble_masks",
    "hot_spots_record",
    "limits",
    "minutes",
    "overlaps",
    "published_attention",
    "published_csv",
    "published_entropy",
    "published_order",
    "published_overlaps",
    "published_rules",
    "published_sizes",
    "published_targets",
    "published_total",
    "ranked_cases",
    "ranked_structures",
    "ranking_csv",
    "untrusted",
]
