from __future__ import annotations

import shutil
import ssl
import subprocess
from email.message import Message
from hashlib import sha256
from pathlib import Path
from urllib.request import Request

import pytest

from ctatlas.errors import ModelError
from ctatlas.models.fetch import Address, download, resolve
from ctatlas.models.fetch.connection import _Hops, ask
from tests.support.file_server import Site, serving

WEIGHTS = b"\x80\x02" + bytes(range(256)) * 100


class Fp:
    def close(self) -> None:
        pass


def onward(before: str, after: str, token: str = "") -> Request:
    request = Request(before)
    if token:
        request.add_unredirected_header("Authorization", f"Bearer {token}")
    return _Hops(token).redirect_request(request, Fp(), 302, "", Message(), after)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("https://x.example/w", "http://x.example/w"),
        ("https://x.example/w", "http://127.0.0.1/w"),
        ("https://x.example/w", "ftp://x.example/w"),
        ("https://x.example/w", "file:///etc/passwd"),
        ("http://127.0.0.1/w", "file:///etc/passwd"),
        ("http://127.0.0.1/w", "https:///w"),
    ],
)
def test_nobody_is_followed_where_it_is_not_safe(before: str, after: str) -> None:
    with pytest.raises(ModelError, match="which is not safe"):
        onward(before, after)


def test_the_token_stays_on_its_site() -> None:
    same = onward("https://hub.example/a", "https://hub.example/b", "secret")
    assert same.get_header("Authorization") == "Bearer secret"
    for elsewhere in ("https://store.example/b", "https://hub.example:8443/b", "https://hub.example.evil/b"):
        request = onward("https://hub.example/a", elsewhere, "secret")
        assert request.get_header("Authorization") is None
        assert "secret" not in repr(request.header_items())


def test_redirects_are_followed_and_counted(site: Site, tmp_path: Path) -> None:
    site.show("/a.pth", to="/b.pth")
    site.show("/b.pth", to=f"{site.url}/c.pth")
    site.show("/c.pth", WEIGHTS)
    assert download(resolve(f"{site.url}/a.pth"), tmp_path).path == tmp_path / "a.pth"
    for n in range(9):
        site.show(f"/{n}.pth", to=f"/{n + 1}.pth")
    with pytest.raises(ModelError, match="sends on more than 6 times"):
        download(resolve(f"{site.url}/0.pth"), tmp_path)


def test_a_circle_is_left(site: Site, tmp_path: Path) -> None:
    site.show("/a.pth", to="/a.pth")
    with pytest.raises(ModelError, match=r"infinite loop|sends on more"):
        download(resolve(f"{site.url}/a.pth"), tmp_path)


def test_range_and_stamp_go_along_to_where_the_file_lies(site: Site, tmp_path: Path) -> None:
    site.show("/a.pth", to="/b.pth")
    site.show("/b.pth", WEIGHTS, cuts=[1000])
    assert download(resolve(f"{site.url}/a.pth"), tmp_path).path.read_bytes() == WEIGHTS
    assert site.asked[-1].path == "/b.pth"
    assert site.asked[-1].headers["Range"] == "bytes=1000-"


def test_the_hub_tells_hash_size_and_commit(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTATLAS_HF_MIRROR", site.url)
    site.show_on_the_hub("/o/r/resolve/main/w.pth", WEIGHTS, commit="c" * 40)
    answer = ask(resolve("hf://o/r/w.pth"))
    answer.body.close()
    assert answer.sha256 == sha256(WEIGHTS).hexdigest()
    assert (answer.bytes, answer.revision, answer.stamp) == (len(WEIGHTS), "c" * 40, '"one"')


def test_what_differs_from_the_hubs_hash_is_removed(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTATLAS_HF_MIRROR", site.url)
    site.show_on_the_hub("/o/r/resolve/main/w.pth", WEIGHTS).content = WEIGHTS[::-1]
    with pytest.raises(ModelError, match=r"the hub says .*the file was removed"):
        download(resolve("hf://o/r/w.pth"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_repository_opens_with_the_token_which_goes_no_further(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CTATLAS_HF_MIRROR", site.url)
    site.show_on_the_hub("/o/r/resolve/main/w.pth", WEIGHTS, needs_token="hf_secret")
    with pytest.raises(ModelError, match="asks who you are"):
        download(resolve("hf://o/r/w.pth"), tmp_path)
    monkeypatch.setenv("CTATLAS_HF_TOKEN", "hf_secret")
    with serving() as store:
        store.show("/w", WEIGHTS)
        site.files["/o/r/resolve/main/w.pth"].to = f"{store.url}/w"
        assert download(resolve("hf://o/r/w.pth"), tmp_path).path.read_bytes() == WEIGHTS
        assert "Authorization" not in store.asked[0].headers
    assert site.asked[-1].headers["Authorization"] == "Bearer hf_secret"


def test_a_token_that_does_not_open_is_not_told(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTATLAS_HF_MIRROR", site.url)
    monkeypatch.setenv("CTATLAS_HF_TOKEN", "hf_wrong")
    site.show("/o/r/resolve/main/w.pth", WEIGHTS, needs_token="hf_right")
    with pytest.raises(ModelError) as refusal:
        download(resolve("hf://o/r/w.pth"), tmp_path)
    assert "hf_wrong" not in str(refusal.value)


def test_a_proxy_of_the_environment_is_asked(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", site.url)
    site.show("http://localhost:1/w.pth", WEIGHTS)
    address = Address("x", "http://localhost:1/w.pth", "w.pth")
    assert download(address, tmp_path).path.read_bytes() == WEIGHTS


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """Make a certificate for this machine that nobody vouches for; its key lies in the same file."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("no openssl to make a certificate with")
    key, made = tmp_path / "key.pem", tmp_path / "made.pem"
    words = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    words += [
        "-keyout",
        str(key),
        "-out",
        str(made),
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
    ]
    subprocess.run([program, *words], check=True, capture_output=True)
    both = tmp_path / "both.pem"
    both.write_bytes(key.read_bytes() + made.read_bytes())
    return both


def test_a_server_that_can_not_prove_who_it_is_is_not_believed(
    certificate: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(context) as site:
        site.show("/w.pth", WEIGHTS, cuts=[1000])
        with pytest.raises(ModelError, match=r"can't prove who it is .*name its certificates in SSL_CERT_FILE"):
            download(resolve(f"{site.url}/w.pth"), tmp_path / "to")
        assert site.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert download(resolve(f"{site.url}/w.pth"), tmp_path / "to").path.read_bytes() == WEIGHTS
        with serving() as plain:
            plain.show("/w.pth", WEIGHTS)
            site.show("/away.pth", to=f"{plain.url}/w.pth")
            with pytest.raises(ModelError, match="which is not safe"):
                download(resolve(f"{site.url}/away.pth"), tmp_path / "to")
            assert plain.asked == []
