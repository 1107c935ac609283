"""From a source as a card or a person writes it to the address that is asked."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from urllib.parse import quote, unquote, urlsplit

from ctatlas.errors import ModelError
from ctatlas.settings import settings

HUB = "https://huggingface.co"
# Ours goes to the hub or to the mirror that was set; the hub's own goes to the hub alone.
OUR_TOKEN, HUB_TOKEN = "CTATLAS_HF_TOKEN", "HF_TOKEN"

_HF = re.compile(r"hf://(?P<owner>[^/@]+)/(?P<repo>[^/@]+)(?:@(?P<revision>[^/]+))?/(?P<path>.+)")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")
_OTHER_KINDS = {"datasets", "spaces", "models", "buckets"}  # of the hub's repositories; "models" is said by nobody
_EXPECTED = "expected https://… or hf://owner/repository[@revision]/file"
_AT_MOST_LETTERS = 200


@dataclass(frozen=True, slots=True)
class Address:
    """Where a file lies.

    Attributes
    ----------
    said : str
        The source as it was written, which is what is shown and recorded.
    url : str
    file : str
        What the file is called; no folder in it.
    token : str
        What opens a closed repository; never shown.
    """

    said: str
    url: str
    file: str
    token: str = field(default="", repr=False)


def resolve(source: str) -> Address:
    """Find out what to ask for a source: an `https://` address, or `hf://owner/repository[@revision]/path`.

    Raises
    ------
    ModelError
        When it is neither, has a name in it that no file should bear, or would be asked for without encryption.
    """
    if not source.isprintable() or " " in source:
        raise ModelError(f"{source!r}: no address; {_EXPECTED}")
    if source.startswith("hf://"):
        return _on_the_hub(source)
    parts = urlsplit(source)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ModelError(f"{source}: no address; {_EXPECTED}")
    if parts.username or parts.password:
        raise ModelError(f"{parts.scheme}://…@{parts.hostname}: a password in an address would be shown and recorded")
    if parts.scheme == "http" and not is_this_machine(parts.hostname):
        raise ModelError(f"{source}: plain http can be changed on its way; use https, or import a file got otherwise")
    return Address(source, source, safe_name(unquote(parts.path.rpartition("/")[2]), source))


def safe_name(name: str, source: str) -> str:
    """Return a name that a file may bear on any system.

    Raises
    ------
    ModelError
        When it is empty, hidden, too long, or holds what separates folders.
    """
    if (
        not name
        or name.startswith((".", "-"))
        or len(name) > _AT_MOST_LETTERS
        or re.search(r'[\\/:*?"<>|\x00-\x1f]', name)
    ):
        raise ModelError(f"{source}: {name!r} is no name for a file of weights")
    return name


def is_this_machine(host: str) -> bool:
    """Say whether a host's name or number means the machine itself."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def folder_on_the_hub(source: str) -> tuple[Address, str]:
    """Find out where the hub lists a folder, `hf://owner/repository[@revision]/[folder/]`, and its path there.

    Raises
    ------
    ModelError
        As `resolve`.
    """
    found = re.fullmatch(r"(hf://[^/]+/[^/]+/)((?:[^/]+/)*)", source)
    if not source.isprintable() or not found:
        raise ModelError(f"{source!r}: no folder on the hub; expected hf://owner/repository[@revision]/folder/")
    hub = _taken_apart(f"{found[1]}{found[2]}any")
    inner = quote(found[2].rstrip("/"))
    url = f"{hub.site}/api/models/{hub.repository}/tree/{hub.revision}{'/' if inner else ''}{inner}?recursive=true"
    return Address(source, url, "list.json", _token_for(hub.site)), found[2]


@dataclass(frozen=True, slots=True)
class _OnTheHub:
    site: str
    repository: str
    revision: str
    path: str


def _on_the_hub(source: str) -> Address:
    hub = _taken_apart(source)
    url = f"{hub.site}/{hub.repository}/resolve/{hub.revision}/{quote(hub.path)}"
    return Address(source, url, safe_name(hub.path.rpartition("/")[2], source), _token_for(hub.site))


def _taken_apart(source: str) -> _OnTheHub:
    found = _HF.fullmatch(source)
    if not found or not _NAME.fullmatch(found["owner"]) or not _NAME.fullmatch(found["repo"]):
        raise ModelError(f"{source}: {_EXPECTED}")
    if found["owner"] in _OTHER_KINDS:
        raise ModelError(f"{source}: only repositories of models are asked; {_EXPECTED}")
    if any(step in {"", ".", ".."} or "\\" in step for step in found["path"].split("/")):
        raise ModelError(f"{source}: {found['path']!r} is no path of a file within a repository")
    revision = quote(found["revision"] or "main", safe="")
    return _OnTheHub(settings().hf_mirror or HUB, f"{found['owner']}/{found['repo']}", revision, found["path"])


def _token_for(site: str) -> str:
    """Return the token that a site may see; none goes out without encryption but to this machine itself."""
    parts = urlsplit(site)
    if parts.scheme != "https" and not is_this_machine(parts.hostname or ""):
        return ""
    hubs = os.environ.get(HUB_TOKEN, "") if site == HUB else ""
    return (os.environ.get(OUR_TOKEN, "") or hubs).strip()
