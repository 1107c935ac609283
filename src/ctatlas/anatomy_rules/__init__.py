"""What a body allows: pure functions on masks, decided in world space.

A rule is a row of a table (a card's `[[rules]]`, or a table in `data/`) and one small function of its kind: `size`
(pieces, volumes, holes), `sides` (left and right), `place` (order along the body, beside, between, inside, outside).
`registry` checks rows, `apply` carries them out; they look at structures as `components` against `landmarks`, and every
change is one of the `findings`. `native` takes a dataset's structures out of its own label maps.
"""

from ctatlas.anatomy_rules import place, sides, size  # these fill the registry
from ctatlas.anatomy_rules.apply import apply_rules
from ctatlas.anatomy_rules.findings import Finding, Tidied
from ctatlas.anatomy_rules.native import annotated_structures
from ctatlas.anatomy_rules.registry import RULES, Rule, rule, rule_table, rules_from, rules_of

__all__ = [
    "RULES",
    "Finding",
    "Rule",
    "Tidied",
    "annotated_structures",
    "apply_rules",
    "place",
    "rule",
    "rule_table",
    "rules_from",
    "rules_of",
    "sides",
    "size",
]
