"""New members enter `atlas.toml`, and nothing that people wrote there is lost."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from ctatlas.atlas import AtlasConfig
from ctatlas.atlas.config import read_config, write_config
from ctatlas.atlas.enrol import enrol, with_members
from ctatlas.errors import AtlasError

STRANGE = ['/models/a "b" ]c', "C:\\\\models\\\\x", "größe+shift"]
LISTS = {
    "one line": 'members = ["one"]\n[queries]\nstrategy = "aift"\n',
    "with a remark": 'members = ["one"] # [two], "three"]\n',
    "several lines": 'members = [\n  "one", # mine ]\n  "]", # odd\n]\nname = "x"\n',
    "a comma at the end": 'members = ["one",]\n',
    "empty": "members = []\n",
    "another of that name": 'note = """\nmembers = ["no"]\n"""\nmembers = ["one"]\n[other]\nmembers = ["two"]\n',
    "no list": 'name = "x"\n\n# of queries\n[queries]\nrandom_share = 0.2\n',
    "nothing at all": "",
}


@pytest.mark.parametrize("what", LISTS)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_list_grows_and_the_rest_stays(what: str, end: str) -> None:
    text = LISTS[what].replace("\n", end)
    before = tomllib.loads(text)
    there = before.get("members", ["ctatlas/base"])
    longer = with_members(text, [*STRANGE, *there])
    assert tomllib.loads(longer) == before | {"members": [*there, *STRANGE]}
    remarks = [line.partition("#")[2] for line in text.splitlines() if "#" in line]
    assert all(remark in longer for remark in remarks)
    assert with_members(longer, STRANGE) == longer


def test_a_list_that_is_not_found_is_left_alone(tmp_path: Path) -> None:
    text = '"members" = ["one"]\n'
    (tmp_path / "atlas.toml").write_text(text)
    with pytest.raises(AtlasError, match=r"add to it by hand: two$"):
        enrol(tmp_path, ["two"])
    assert (tmp_path / "atlas.toml").read_text() == text


def test_what_init_wrote_is_read_again(tmp_path: Path) -> None:
    config = AtlasConfig(name="x", members=("ctatlas/base+shift",), description="members = []")
    write_config(config, tmp_path)
    enrol(tmp_path, ["ctatlas/base"])
    assert read_config(tmp_path) == config.model_copy(update={"members": ("ctatlas/base+shift", "ctatlas/base")})
