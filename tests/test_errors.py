from __future__ import annotations

import pytest

from ctatlas import errors


@pytest.mark.parametrize(
    ("kind", "built_in"),
    [
        (errors.ScanError, ValueError),
        (errors.ModelError, ValueError),
        (errors.AtlasError, ValueError),
        (errors.TableError, ValueError),
        (errors.InstallError, RuntimeError),
        (errors.OutputError, OSError),
    ],
)
def test_each_error_is_ours_and_the_built_in_it_specialises(kind, built_in):
    with pytest.raises(built_in) as caught:
        raise kind("scan.nii.gz: 2 axes; expected 3. Give a volume.")
    assert isinstance(caught.value, errors.CtatlasError)
    assert str(caught.value) == "scan.nii.gz: 2 axes; expected 3. Give a volume."
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("kind", [errors.ScanError, errors.OutputError, errors.CtatlasError])
def test_a_name_from_outside_cannot_break_the_line_or_colour_the_terminal(kind):
    assert str(kind("a\nb\x1b[31m.nii: is empty\r")) == "a b [31m.nii: is empty "


def test_the_docstring_draws_every_error():
    kinds = {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert {name for name in kinds if name in errors.__doc__} == kinds


def test_a_long_name_from_outside_does_not_flood_the_line():
    text = str(errors.ScanError("scan.zip: holds " + "x" * 10**6 + "; unpack it."))
    assert len(text) < errors.AT_MOST_LETTERS + 10
    assert text.startswith("scan.zip: holds x")
    assert text.endswith("x; unpack it.")
