"""croissant.json: the release in JSON-LD.

Source: the Croissant format specification 1.0 (docs.mlcommons.org/croissant).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from ctatlas.atlas.release.datasheet import DATASHEET
from ctatlas.atlas.release.facts import Facts
from ctatlas.atlas.release.licences import licence_called
from ctatlas.atlas.release.manifest import CASES, MASKS, CaseRow, MaskRow, column_types
from ctatlas.volume import safe_name

CROISSANT = "croissant.json"
_TERMS = "http://mlcommons.org/croissant/1.0"
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
_FORMATS = {".csv": "text/csv", ".parquet": "application/x-parquet", ".gz": "application/gzip", ".md": "text/markdown"}
_TYPES = {int: "sc:Integer", float: "sc:Float"}


def croissant(facts: Facts, hashes: Mapping[str, str]) -> str:
    """Write the file.

    Parameters
    ----------
    facts : Facts
    hashes : mapping of str to str
        Of the manifest, the datasheet and the shards, by path.
    """
    licence = licence_called(facts.record.licence)
    publication = facts.config.release
    known: dict[str, Any] = {
        "description": facts.record.description or f"CT scans with masks of {len(facts.record.labels)} structures.",
        "license": [licence.url if licence else facts.record.licence or "not stated", *facts.licences],
        "url": publication.url,
        "citeAs": publication.citation,
        "datePublished": publication.published,
        "creator": [{"@type": "sc:Person", "name": name} for name in publication.creators],
        "version": _semantic(facts.record.version),
        "rai:dataAnnotationProtocol": "See DATASHEET.md: Preprocessing and labelling.",
        "rai:personalSensitiveInformation": "CT scans of patients, de-identified; see DATASHEET.md: Composition.",
    }
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": _TERMS,
        "name": safe_name(facts.title),
        **{key: value for key, value in known.items() if value},
        "isLiveDataset": False,
        "distribution": [*(_object(path, sha256) for path, sha256 in sorted(hashes.items())), *_images(facts)],
        "recordSet": [
            _records("cases", CASES, CaseRow),
            *([_records("masks", MASKS, MaskRow)] if facts.record.masks else []),
        ],
    }
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def described_files(facts: Facts, manifest: list[str]) -> list[str]:
    """Return the files that are described one by one."""
    return [*manifest, DATASHEET, *facts.shards]


def _semantic(version: str) -> str:
    """Return a version as the format asks for: three numbers; others as they are."""
    numbers = version.split(".")
    return ".".join([*numbers, "0", "0"][:3]) if all(map(str.isdecimal, numbers)) and len(numbers) < 3 else version


def _object(path: str, sha256: str) -> dict[str, object]:
    return {
        "@type": "cr:FileObject",
        "@id": path,
        "name": path,
        "contentUrl": path,
        "encodingFormat": _FORMATS.get(PurePosixPath(path).suffix, "application/octet-stream"),
        "sha256": sha256,
    }


def _images(facts: Facts) -> list[dict[str, object]]:
    """Return the sets of image files, within the shards where they are packed."""
    within = {"containedIn": [{"@id": shard} for shard in facts.shards]} if facts.shards else {}
    return [
        {
            "@type": "cr:FileSet",
            "@id": kind,
            "name": kind,
            **within,
            "encodingFormat": "application/gzip",
            "includes": sorted(patterns),
        }
        for kind, patterns in facts.tally.patterns.items()
        if patterns
    ]


def _records(name: str, path: str, kind: type[CaseRow | MaskRow]) -> dict[str, object]:
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{name}/{column}",
                "name": column,
                "dataType": _TYPES.get(column_type, "sc:Text"),
                "source": {"fileObject": {"@id": path}, "extract": {"column": column}},
            }
            for column, column_type in column_types(kind).items()
        ],
    }
