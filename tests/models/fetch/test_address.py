from __future__ import annotations

import pytest

from ctatlas.errors import ModelError
from ctatlas.models.fetch import resolve
from ctatlas.models.fetch.address import folder_on_the_hub


def test_a_file_on_the_hub() -> None:
    found = resolve("hf://MrGiovanni/SuPreM/supervised_suprem_unet_2100.pth")
    assert found.url == "https://huggingface.co/MrGiovanni/SuPreM/resolve/main/supervised_suprem_unet_2100.pth"
    assert found.file == "supervised_suprem_unet_2100.pth"


def test_a_revision_and_a_path() -> None:
    found = resolve("hf://o/r.x@v1.0/a b/c%d.pth".replace(" ", "_"))
    assert found.url == "https://huggingface.co/o/r.x/resolve/v1.0/a_b/c%25d.pth"
    assert found.file == "c%d.pth"


def test_a_mirror_is_asked_in_place_of_the_hub(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CTATLAS_HF_MIRROR", "https://mirror.example/hub/")
    assert resolve("hf://o/r/w.pth").url == "https://mirror.example/hub/o/r/resolve/main/w.pth"
    assert resolve("https://elsewhere.example/w.pth").url == "https://elsewhere.example/w.pth"


@pytest.mark.parametrize(
    ("mirror", "tokens", "sent"),
    [
        ("", {"HF_TOKEN": "hubs"}, "hubs"),
        ("", {"HF_TOKEN": "hubs", "CTATLAS_HF_TOKEN": "ours"}, "ours"),
        ("https://mirror.example", {"HF_TOKEN": "hubs"}, ""),
        ("https://mirror.example", {"CTATLAS_HF_TOKEN": "ours"}, "ours"),
        ("http://mirror.example", {"CTATLAS_HF_TOKEN": "ours"}, ""),
        ("http://127.0.0.1:8000", {"CTATLAS_HF_TOKEN": "ours"}, "ours"),
    ],
)
def test_the_token_goes_only_where_it_was_meant_for(
    monkeypatch: pytest.MonkeyPatch, mirror: str, tokens: dict[str, str], sent: str
) -> None:
    for name, value in (tokens | {"CTATLAS_HF_MIRROR": mirror}).items():
        monkeypatch.setenv(name, value)
    found = resolve("hf://o/r/w.pth")
    assert found.token == sent
    assert resolve("https://elsewhere.example/w.pth").token == ""
    assert "ours" not in repr(found)
    assert "hubs" not in repr(found)


def test_a_query_is_no_part_of_the_name() -> None:
    assert resolve("https://x.example/a/w%20eights.pth?download=true#x").file == "w eights.pth"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("suprem", "expected https"),
        ("ftp://x.example/w.pth", "expected https"),
        ("file:///etc/passwd", "expected https"),
        ("https:///w.pth", "expected https"),
        ("hf://owner/repo", "expected https"),
        ("hf://owner//w.pth", "expected https"),
        ("hf://owner/repo@/w.pth", "expected https"),
        ("hf://../repo/w.pth", "expected https"),
        ("hf://owner/..%2f/w.pth", "expected https"),
        ("hf://datasets/owner/repo/w.pth", "only repositories of models"),
        ("hf://owner/repo/../w.pth", "no path of a file"),
        ("hf://owner/repo/a//w.pth", "no path of a file"),
        ("hf://owner/repo/a/", "no path of a file"),
        ("hf://owner/repo/a\\..\\w.pth", "no path of a file"),
        ("hf://owner/repo/.bashrc", "no name for a file"),
        ("http://x.example/w.pth", "plain http can be changed on its way"),
        ("https://me:secret@x.example/w.pth", "a password in an address"),
        ("https://x.example/", "no name for a file"),
        ("https://x.example/%2e%2e%2fw.pth", "no name for a file"),
        ("https://x.example/..", "no name for a file"),
        ("https://x.example/-rf", "no name for a file"),
        ("https://x.example/" + "w" * 300, "no name for a file"),
        ("https://x.example/w.pth\n", "no address"),
        ("https://x.example/w\x1b[2J.pth", "no address"),
    ],
)
def test_what_is_no_address_is_refused(source: str, said: str) -> None:
    with pytest.raises(ModelError, match=said) as refusal:
        resolve(source)
    assert "secret" not in str(refusal.value)


def test_a_folder_on_the_hub_is_listed_by_its_api(monkeypatch: pytest.MonkeyPatch) -> None:
    address, inner = folder_on_the_hub("hf://o/r@v1/a b/c/".replace(" ", "_"))
    assert address.url == "https://huggingface.co/api/models/o/r/tree/v1/a_b/c?recursive=true"
    assert inner == "a_b/c/"
    monkeypatch.setenv("CTATLAS_HF_MIRROR", "https://mirror.example")
    assert folder_on_the_hub("hf://o/r/")[0].url == "https://mirror.example/api/models/o/r/tree/main?recursive=true"


@pytest.mark.parametrize("source", ["hf://o/r", "hf://o//", "hf://o/r/../", "hf://datasets/o/r/", "hf://o/r/a//", "x/"])
def test_what_is_no_folder_on_the_hub_is_refused(source: str) -> None:
    with pytest.raises(ModelError):
        folder_on_the_hub(source)
