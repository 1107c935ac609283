from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.atlas.config import Assembly, AtlasConfig, read_config, write_config
from ctatlas.errors import AtlasError


def test_what_is_written_is_what_is_read(tmp_path: Path) -> None:
    config = AtlasConfig(
        name='the "best" \\ atlas é',
        label_set="btcv",
        catalog="postgresql://ann@host/base",
        members=("ctatlas/base", "ctatlas/base+shift"),
        licence="CC-BY-4.0",
        assembly=Assembly(structures={"postcava": ("revised", "original"), "liver": ("pseudo",)}, annotators="staple"),
    )
    write_config(config, tmp_path)
    assert read_config(tmp_path) == config
    assert config.assembly.kinds_for("inferior_vena_cava") == ("revised", "original")
    assert config.assembly.kinds_for("spleen") == ("original", "revised", "pseudo")


@given(name=st.text(min_size=1, max_size=100), description=st.text(max_size=50))
def test_any_name_gives_a_file_that_can_be_read(tmp_path_factory: pytest.TempPathFactory, name: str, description: str):
    folder = tmp_path_factory.mktemp("atlas")
    write_config(AtlasConfig(name=name, description=description), folder)
    found = read_config(folder)
    assert len(found.name) == len(name)
    assert all(ours == letter for ours, letter in zip(found.name, name, strict=True) if letter.isprintable())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "name: Field required"),
        ('name = ""', "name: String should have at least 1 character"),
        ('name = "a"\ncolour = "red"', "colour: Extra inputs are not permitted"),
        ('name = "a"\nformat = 99', "is format 99, from a newer ctatlas"),
        ('name = "a"\nlabel_set = "btvc"', "btcv"),
        ('name = "a"\n[assembly]\npriorities = ["best"]', "assembly.priorities.0: Input should be"),
        ('name = "a"\n[assembly]\npriorities = []', "assembly.priorities: Tuple should have at least 1 item"),
        ('name = "a"\n[assembly.structures]\nlivre = ["pseudo"]', "liver"),
        ('name = "a"\n[queries]\nrandom_share = 7', "queries.random_share: Input should be less than or equal to 1"),
        ('name = "a"\nformat = 99\ncolour = "red"', "colour: Extra inputs are not permitted"),
        ("name = a", "is no TOML"),
        ("\x00", "is no TOML"),
        ("x = " + "[" * 5000, "is no TOML"),
        ("\udcff", "is no TOML"),
    ],
)
def test_a_fault_is_one_line_that_names_the_file(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "atlas.toml").write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(AtlasError) as refused:
        read_config(tmp_path)
    assert str(refused.value).startswith(f"{tmp_path / 'atlas.toml'}: ")
    assert said in str(refused.value)


def test_no_atlas_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AtlasError, match=r"is no atlas .*'ctatlas init"):
        read_config(tmp_path)
    with pytest.raises(AtlasError, match="is a file, expected an atlas folder"):
        read_config(tmp_path / "file")
    (tmp_path / "atlas.toml").mkdir()
    with pytest.raises(AtlasError, match="Is a directory"):
        read_config(tmp_path)
