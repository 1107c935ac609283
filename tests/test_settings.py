from __future__ import annotations

from pathlib import Path

import pytest

import ctatlas.settings
from ctatlas.errors import InstallError
from ctatlas.settings import Settings, settings


@pytest.fixture(autouse=True)
def config(tmp_path, monkeypatch) -> Path:
    """Return the path of a configuration file that nobody has written yet, on a machine that says nothing."""
    for name in ("BACKEND", "HF_MIRROR", "HOME", "OFFLINE", "THREADS"):
        monkeypatch.delenv(f"CTATLAS_{name}", raising=False)
    monkeypatch.setattr(ctatlas.settings, "user_config_path", lambda _: tmp_path)
    monkeypatch.setattr(ctatlas.settings, "user_cache_path", lambda _: Path("/platform/cache"))
    return tmp_path / "config.toml"


def test_defaults_hold_where_nothing_was_said():
    assert settings() == Settings(home=Path("/platform/cache"), offline=False, threads=None)


def test_the_file_beats_the_defaults(config):
    config.write_text('home = "/file"\noffline = true\nthreads = 3\n')
    assert settings() == Settings(home=Path("/file"), offline=True, threads=3)


def test_the_environment_beats_the_file(config, monkeypatch):
    config.write_text('home = "/file"\nthreads = 3\n')
    monkeypatch.setenv("CTATLAS_HOME", "/environment")
    monkeypatch.setenv("CTATLAS_OFFLINE", "1")
    assert settings() == Settings(home=Path("/environment"), offline=True, threads=3)


def test_a_flag_beats_the_environment_and_an_unsaid_flag_does_not(monkeypatch):
    monkeypatch.setenv("CTATLAS_THREADS", "4")
    monkeypatch.setenv("CTATLAS_OFFLINE", "1")
    assert settings({"threads": 2, "offline": False, "home": None}).threads == 2
    assert settings({"threads": 2, "offline": False, "home": None}).offline is False
    assert settings({"threads": None}).threads == 4


def test_an_empty_variable_counts_as_not_said(monkeypatch):
    monkeypatch.setenv("CTATLAS_THREADS", "")
    assert settings().threads is None


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("CTATLAS_HOME", "~/ct")
    assert settings().home == Path.home() / "ct"


@pytest.mark.parametrize("word", ["0", "false", "No", " FALSE "])
def test_words_for_no(monkeypatch, word):
    monkeypatch.setenv("CTATLAS_OFFLINE", word)
    assert settings({}).offline is False


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("CTATLAS_THREADS", "0", "CTATLAS_THREADS: threads is '0'; expected a whole number from 1 on"),
        ("CTATLAS_THREADS", "two", "CTATLAS_THREADS: threads is 'two'; expected a whole number from 1 on"),
        ("CTATLAS_OFFLINE", "maybe", "CTATLAS_OFFLINE: offline is 'maybe'; expected true or false"),
    ],
)
def test_a_variable_of_the_wrong_kind_is_named(monkeypatch, variable, value, message):
    monkeypatch.setenv(variable, value)
    with pytest.raises(InstallError, match=message):
        settings()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("thread = 2", "unknown setting 'thread'; known: backend, hf_mirror, home, offline, threads"),
        ("threads = true", "threads is True; expected a whole number"),
        ("threads = 2.5", r"threads is 2.5; expected a whole number"),
        ("home = 3", "home is 3; expected a folder"),
        ('hf_mirror = "mirror"', "hf_mirror is 'mirror'; expected a site's address"),
        ('hf_mirror = "https://me:x@mirror"', "expected a site's address"),
        ("offline = 1", "offline is 1; expected true or false"),
        ("offline = ", "can't be read as TOML"),
        ("\x00", "can't be read as TOML"),
    ],
)
def test_a_broken_file_is_named(config, text, message):
    config.write_text(text)
    with pytest.raises(InstallError, match=message) as caught:
        settings()
    assert "config.toml" in str(caught.value)


def test_an_unreadable_file_is_named(config):
    config.mkdir()
    with pytest.raises(InstallError, match=r"config.toml: can't be read"):
        settings()
