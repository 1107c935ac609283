"""One question to a server, and its answer: where it may lead, what it says of the file, what went wrong."""

from __future__ import annotations

import http.client
import re
import ssl
import urllib.error
import urllib.request
from dataclasses import dataclass
from email.message import Message
from typing import IO, Protocol
from urllib.parse import urlsplit

import ctatlas
from ctatlas.errors import ModelError
from ctatlas.models.fetch.address import Address, is_this_machine

SILENCE_S = 30.0  # so long may a server say nothing
AT_MOST_REDIRECTS = 6
_PASSING = {408, 425, 429, 500, 502, 503, 504}
_HINTS = {
    401: "the server asks who you are: set HF_TOKEN to a token of your account on the hub",
    403: "the server lets you not: accept its terms on the model's page and set HF_TOKEN, or get the file by hand",
    404: "there is no such file; its address may have changed",
    410: "the file is gone",
}
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?')


class CutError(Exception):
    """The connection broke, or the server was busy; asking again may do."""


class Body(Protocol):
    """What of an answer is read piece by piece."""

    def read1(self, n: int = -1, /) -> bytes:
        """Return up to n bytes as soon as there are some; none at the end."""

    def close(self) -> None:
        """Hang up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to one question.

    Attributes
    ----------
    body : Body
    status : int
    headers : Message
        Of the server that gave the file.
    sha256, bytes, revision : str, int or None, str
        What the hub says of the file before it sends one on to where the file lies.
    """

    body: Body
    status: int
    headers: Message
    sha256: str
    bytes: int | None
    revision: str

    @property
    def stamp(self) -> str:
        """Return what names this state of the file, if the server tells: a strong ETag, else the time of change."""
        tag = self.headers.get("ETag", "")
        return tag if tag and not tag.startswith("W/") else self.headers.get("Last-Modified", "")


def ask(address: Address, *, begin: int = 0, stamp: str = "") -> Answer:
    """Ask for a file from a byte on; with a stamp only if it is still what it was, else from its beginning.

    Raises
    ------
    ModelError
        When the server has no such file, lets us not have it, or sends us where we don't go.
    CutError
        When asking again may do.
    """
    request = urllib.request.Request(address.url, headers=_headers(begin, stamp))
    hops = _Hops(address.token)
    if address.token:
        request.add_unredirected_header("Authorization", f"Bearer {address.token}")
    try:
        body = _opener(hops).open(request, timeout=SILENCE_S)
    except urllib.error.HTTPError as error:
        return _refused(address, error, hops, begin)
    except urllib.error.URLError as error:
        raise _unreachable(address, error.reason) from None
    except ssl.SSLError as error:
        raise _unreachable(address, error) from None
    except (OSError, http.client.HTTPException) as error:
        raise CutError(_reason(error)) from None
    return Answer(body, body.status, body.headers, hops.sha256(body.headers), hops.bytes(), hops.revision(body.headers))


def _headers(begin: int, stamp: str) -> dict[str, str]:
    headers = {"User-Agent": f"ctatlas/{ctatlas.__version__}", "Accept": "*/*", "Accept-Encoding": "identity"}
    if begin:
        headers["Range"] = f"bytes={begin}-"
    if begin and stamp:
        headers["If-Range"] = stamp
    return headers


class _Hops(urllib.request.HTTPRedirectHandler):
    """Follow a server elsewhere: not too often, never to plain http, and with the token only on the same site."""

    def __init__(self, token: str) -> None:
        self._token = token
        self._passed: list[Message] = []

    def redirect_request(  # noqa: PLR0917  its signature is the standard library's
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,  # noqa: ARG002
        msg: str,  # noqa: ARG002
        headers: Message,
        newurl: str,
    ) -> urllib.request.Request:
        fp.close()  # what else it says is not read: it may be endless
        before, after = urlsplit(req.full_url), urlsplit(newurl)
        self._passed.append(headers)
        if len(self._passed) > AT_MOST_REDIRECTS:
            raise ModelError(f"{before.hostname}: sends on more than {AT_MOST_REDIRECTS} times; the address is broken")
        plain = after.scheme == "http" and (before.scheme == "https" or not is_this_machine(after.hostname or ""))
        if after.scheme not in {"http", "https"} or (plain and before.scheme != "http") or not after.hostname:
            raise ModelError(
                f"{before.hostname}: sends on to {after.scheme}://{after.hostname or ''}, which is not safe"
            )
        kept = {name: value for name, value in req.headers.items() if name != "Authorization"}
        onward = urllib.request.Request(newurl, headers=kept, origin_req_host=req.origin_req_host)
        if self._token and (before.scheme, before.netloc) == (after.scheme, after.netloc) and _bears_token(req):
            onward.add_unredirected_header("Authorization", f"Bearer {self._token}")
        return onward

    def sha256(self, last: Message) -> str:
        """Return the hash that the hub gives of a large file; it says it where it sends one on."""
        tags = [headers.get("X-Linked-ETag", "") for headers in (*self._passed, last)]
        return next((found[1] for tag in tags if (found := _SHA256.fullmatch(tag))), "")

    def bytes(self) -> int | None:
        """Return the size that the hub gives of a large file."""
        sizes = [headers.get("X-Linked-Size", "") for headers in self._passed]
        return next((int(size) for size in sizes if size.isdecimal()), None)

    def revision(self, last: Message) -> str:
        """Return the commit that the hub took the file from."""
        commits = [headers.get("X-Repo-Commit", "") for headers in (*self._passed, last)]
        return next((each for each in commits if re.fullmatch(r"[0-9a-f]{40}", each)), "")


def _bears_token(request: urllib.request.Request) -> bool:
    return request.get_header("Authorization") is not None


def _opener(hops: _Hops) -> urllib.request.OpenerDirector:
    """Make what opens connections: https and http alone, through the proxy that the environment names."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        hops,
    ):
        opener.add_handler(handler)
    return opener


def _refused(address: Address, error: urllib.error.HTTPError, hops: _Hops, begin: int) -> Answer:
    code, headers = error.code, error.headers
    error.close()
    if code == 416 and begin:  # nothing is left from there on: the caller looks whether it has all
        return Answer(error, code, headers, hops.sha256(headers), hops.bytes(), hops.revision(headers))
    if code in _PASSING:
        raise CutError(f"the server says {code} {error.reason}")
    host = urlsplit(error.url or address.url).hostname
    hint = _HINTS.get(code, "get the file by hand and import it")
    raise ModelError(f"{address.said}: {host} says {code} {error.reason}: {hint}")


def _unreachable(address: Address, reason: object) -> ModelError | CutError:
    if isinstance(reason, ssl.SSLCertVerificationError):
        host = urlsplit(address.url).hostname
        return ModelError(
            f"{address.said}: {host} can't prove who it is ({reason.verify_message}); behind a proxy that opens "
            "https, name its certificates in SSL_CERT_FILE"
        )
    return CutError(_reason(reason))


def _reason(error: object) -> str:
    if isinstance(error, TimeoutError):
        return "the server says nothing"
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:160]
