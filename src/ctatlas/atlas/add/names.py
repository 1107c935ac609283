"""Which image and which label belong together, by what their names have in common; never by their order.

Source: the published list maker pairs by sorted position, so that one missing file shifts all later pairs, and
`img10` stands beside `label2`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ENDINGS = (".nii.gz", ".nii", ".nrrd", ".nhdr", ".mha", ".mhd")
_LABEL = "label labels labelstr labelsts seg segs segmentation segmentations mask masks gt groundtruth annotation"
_IMAGE = "image images imagestr imagests img imgs ct cts scan scans volume volumes vol data raw"
LABEL_WORDS = frozenset([*_LABEL.split(" "), "annotations", "manual", "roi", "truth"])
IMAGE_WORDS = frozenset(_IMAGE.split(" "))
# The role may also be glued to the number or to another word: img0002, label0002, multiorgan_label, liver_label
_GLUED = re.compile(r"^(img|image|labels?|volume|seg|mask|ct)(?=\d+$)")
_CHANNEL = "0000"  # behind the name of an image. Source: nnU-Net; AbdomenCT-1K uses it, too


@dataclass(frozen=True, slots=True)
class Key:
    """What a name says besides its role: words, and numbers without leading zeros.

    Examples
    --------
    >>> key_of("PANCREAS_0002"), key_of("label0002").goes_with(key_of("PANCREAS_0002"))
    (Key(words=('pancreas',), numbers=('2',)), True)
    >>> key_of("img10").goes_with(key_of("label2"))
    False
    """

    words: tuple[str, ...]
    numbers: tuple[str, ...]

    def goes_with(self, other: Key) -> bool:
        """Tell whether both may be of one case: the same numbers, and no word of one against a word of the other."""
        one, two = set(self.words), set(other.words)
        if not self.numbers and not other.numbers:
            return one == two
        return self.numbers == other.numbers and (one <= two or two <= one)


def stem(name: str) -> str:
    """Return a file's name without the ending of its format; further dots belong to the name.

    Examples
    --------
    >>> stem("a.1.nii.gz")
    'a.1'
    """
    ending = next((end for end in ENDINGS if name.lower().endswith(end)), "")
    return name[: len(name) - len(ending)]


def key_of(name: str) -> Key:
    """Take a stem apart; words of roles ("img", "label") and the number of the only channel don't count."""
    tokens = [token for token in re.split(r"[^A-Za-z0-9]+", name.lower()) if token]
    if len(tokens) > 1 and tokens[-1] == _CHANNEL:
        tokens = tokens[:-1]
    parts = [part for token in tokens for part in re.findall(r"\d+|[a-z]+", _GLUED.sub("", token))]
    words = [part for part in parts if not part.isdecimal() and part not in LABEL_WORDS | IMAGE_WORDS]
    return Key(tuple(words), tuple(part.lstrip("0") or "0" for part in parts if part.isdecimal()))


def role_of(path: Path) -> str:
    """Return "label" or "image" where a path's own words say so, the nearest to the file first; else nothing.

    Examples
    --------
    >>> role_of(Path("img/case_1_seg.nii.gz")), role_of(Path("labelsTr/case_1.nii.gz")), role_of(Path("a/b.nii"))
    ('label', 'label', '')
    """
    for part in (stem(path.name), *reversed(path.parent.parts)):
        tokens = {_GLUED.sub(r"\1 ", token).split(" ")[0] for token in re.split(r"[^A-Za-z0-9]+", part.lower())}
        if tokens & LABEL_WORDS:
            return "label"
        if tokens & IMAGE_WORDS:
            return "image"
    return ""


def case_name(path: Path, root: Path) -> str:
    """Return what tells a scan from the others below a root: its path without words that only say its role.

    Source: published readers call a case after its file alone, so that every `case1/ct.nii.gz`, `case2/ct.nii.gz`
    became the case `ct`, and the first won.

    Examples
    --------
    >>> case_name(Path("set/img/img0002.nii.gz"), Path("set")), case_name(Path("set/case1/ct.nii.gz"), Path("set"))
    ('img0002', 'case1')
    """
    inside = path.relative_to(root)
    parts = [*inside.parts[:-1], stem(inside.name)]
    telling = [part for part in parts if part.lower() not in LABEL_WORDS | IMAGE_WORDS]
    return "_".join(telling) or stem(path.name)
