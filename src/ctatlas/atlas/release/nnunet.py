"""dataset.json: what nnU-Net v2 asks of its raw data.

Source: nnU-Net v2, documentation/dataset_format.md.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from ctatlas.atlas.release.facts import Facts


def dataset_json(facts: Facts, collection: str) -> Mapping[str, str]:
    """Return the file by its path."""
    record = facts.record
    content = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **record.labels},
        "numTraining": sum(case.split != "test" for case in facts.cases),
        "file_ending": ".nii.gz",
        "name": record.name,
        "description": record.description,
        "reference": facts.config.release.url,
        "licence": record.licence,
        "release": record.version,
    }
    return {f"{collection}/dataset.json": json.dumps(content, indent=1, ensure_ascii=False) + "\n"}
