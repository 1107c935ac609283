"""Starting costs nothing: heavy packages are imported by the work that needs them."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import ctatlas

HEAVY = {
    "cc3d",
    "highdicom",
    "matplotlib",
    "nibabel",
    "numba",
    "numpy",
    "onnxruntime",
    "openvino",
    "pandas",
    "pydicom",
    "scipy",
    "sqlalchemy",
    "torch",
}
REPORT = "\nimport json, sys; sys.stderr.write(json.dumps(sorted(sys.modules)))"
HELP = """
from ctatlas.commands.app import main
sys = __import__("sys")
sys.argv = ["ctatlas", *{arguments}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""


def modules_after(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", code + REPORT], capture_output=True, text=True, check=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.fixture(scope="module")
def modules_of_python() -> set[str]:
    return modules_after("")


def test_importing_ctatlas_imports_next_to_nothing(modules_of_python):
    loaded = modules_after("import ctatlas") - modules_of_python
    assert {name for name in loaded if name.startswith("ctatlas.")} == set()
    assert len(loaded) <= 20


def test_the_words_of_anatomy_come_without_heavy_packages(modules_of_python):
    loaded = modules_after("import ctatlas.anatomy; ctatlas.anatomy.structures()") - modules_of_python
    assert loaded & HEAVY == set()
    assert len(loaded) <= 120


@pytest.mark.parametrize(
    ("arguments", "at_most"),
    [(["--help"], 320), (["--version"], 150), (["segment", "--help"], 420), (["demo", "--help"], 420)],
    ids=str,
)
def test_help_imports_few_modules_and_none_of_the_heavy(arguments, at_most, modules_of_python):
    loaded = modules_after(HELP.format(arguments=arguments)) - modules_of_python
    assert loaded & HEAVY == set()
    assert len(loaded) <= at_most


def test_who_asks_an_index_loads_nothing_that_reads_scans(modules_of_python):
    loaded = modules_after("import ctatlas.atlas, ctatlas.atlas.catalog.questions") - modules_of_python
    assert loaded & HEAVY == {"sqlalchemy"}
    assert loaded & {"ctatlas.volume", "ctatlas.atlas.records", "concurrent.futures.process"} == set()


def test_every_public_name_arrives_on_first_use():
    assert ctatlas.__all__ == sorted(ctatlas.__all__)
    assert [name for name in ctatlas.__all__ if getattr(ctatlas, name, None) is None] == []
    assert set(ctatlas.__all__) <= set(dir(ctatlas))


def test_the_main_job_stays_a_function_after_its_room_was_imported():
    code = "import ctatlas, ctatlas.pipeline; assert callable(ctatlas.segment), ctatlas.segment"
    assert "ctatlas.pipeline" in modules_after(code)


def test_an_unknown_name_is_refused():
    with pytest.raises(AttributeError, match="no attribute 'segmentation'"):
        ctatlas.segmentation  # noqa: B018
