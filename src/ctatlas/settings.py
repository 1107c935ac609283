"""What a machine or a person prefers: flags > CTATLAS_* > config.toml > defaults."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from platformdirs import user_cache_path, user_config_path

from ctatlas.errors import InstallError


@dataclass(frozen=True, slots=True)
class Settings:
    """Preferences that no single call should have to repeat."""

    home: Path  # downloaded weights and caches; default: the platform's cache folder
    offline: bool = False  # never open a connection
    backend: str | None = None  # what networks run on; None: what was measured to be fastest
    hf_mirror: str | None = None  # asked in place of huggingface.co
    threads: int | None = None  # for networks, resampling and decoding; None: as many as the machine has cores


def settings(flags: Mapping[str, object] | None = None) -> Settings:
    """Gather the preferences that hold now.

    Parameters
    ----------
    flags : mapping, optional
        What the caller was told explicitly; None values count as not said.

    Raises
    ------
    InstallError
        When an environment variable or the configuration file holds an unknown name or a value of the wrong kind.
    """
    said: dict[str, object] = {"home": user_cache_path("ctatlas")}
    said |= _from_file(user_config_path("ctatlas") / "config.toml")
    said |= _from_environment(os.environ)
    said |= {name: value for name, value in (flags or {}).items() if value is not None}
    return Settings(**{name: _checked(name, value, "flag") for name, value in said.items()})  # type: ignore[arg-type]


def _from_file(path: Path) -> dict[str, object]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InstallError(f"{path}: can't be read as TOML ({error}); mend or remove it") from None
    return {name: _checked(name, value, str(path)) for name, value in table.items()}


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    names = {field.name: f"CTATLAS_{field.name.upper()}" for field in fields(Settings)}
    return {
        name: _checked(name, environment[variable], variable)
        for name, variable in names.items()
        if environment.get(variable)
    }


def _checked(name: str, value: object, where: str) -> object:
    if name not in _KINDS:
        raise InstallError(f"{where}: unknown setting {name!r}; known: {', '.join(sorted(_KINDS))}")
    parse, expected = _KINDS[name]
    try:
        return parse(value)
    except ValueError:
        raise InstallError(f"{where}: {name} is {value!r}; expected {expected}") from None


def _folder(value: object) -> Path:
    if not isinstance(value, str | Path) or not str(value):
        raise ValueError
    return Path(value).expanduser()


def _yes_or_no(value: object) -> bool:
    words = {True: True, False: False, "1": True, "0": False, "true": True, "false": False, "yes": True, "no": False}
    word = value.strip().lower() if isinstance(value, str) else value
    if not isinstance(word, str | bool) or word not in words:
        raise ValueError
    return words[word]


def _site(value: object) -> str:
    parts = urlsplit(value.strip()) if isinstance(value, str) else None
    if parts is None or parts.scheme not in {"http", "https"} or not parts.hostname or parts.username or parts.query:
        raise ValueError
    return parts.geturl().rstrip("/")


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str) or int(value) < 1:
        raise ValueError
    return int(value)


def _name(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


_KINDS: dict[str, tuple[Callable[[object], object], str]] = {
    "home": (_folder, "a folder"),
    "offline": (_yes_or_no, "true or false (1 or 0)"),
    "backend": (_name, "a backend's name"),
    "hf_mirror": (_site, "a site's address, as https://mirror.example"),
    "threads": (_count, "a whole number from 1 on"),
}
