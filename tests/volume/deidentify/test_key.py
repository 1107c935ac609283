from __future__ import annotations

import re
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ctatlas.errors import InstallError, OutputError
from ctatlas.volume.deidentify import Key, key_in

KEY = Key(bytes(range(32)))


@given(st.text(max_size=80))
def test_a_new_uid_is_one(old: str) -> None:
    new = KEY.uid(old)
    assert re.fullmatch(r"2\.25\.(0|[1-9]\d*)", new)
    assert len(new) <= 44
    assert int(new.removeprefix("2.25.")) < 2**128
    assert new == Key(bytes(range(32))).uid(old)


def test_the_uid_is_the_documented_one() -> None:
    """Others must be able to link our files, who have the key: reference HMAC-SHA-256, first 128 bits."""
    import hashlib
    import hmac

    digest = hmac.new(bytes(range(32)), b"1.2.840.113619.2.55", hashlib.sha256).digest()
    assert KEY.uid("1.2.840.113619.2.55") == f"2.25.{int.from_bytes(digest[:16], 'big')}"


@given(st.text(max_size=40))
def test_pseudonyms_and_shifts_have_their_form(identity: str) -> None:
    assert re.fullmatch(r"CTA-[A-Z2-7]{10}", KEY.patient(identity))
    assert -3652 <= KEY.days(identity) <= -1


def test_patients_are_told_apart() -> None:
    identities = [str(number) for number in range(500)]
    assert len({KEY.patient(one) for one in identities}) == 500
    assert len({KEY.days(one) for one in identities}) > 400
    assert KEY.patient("1") != Key(bytes(32)).patient("1")


def test_a_key_never_shows_its_secret() -> None:
    assert repr(KEY) == str(KEY) == "Key()"


def test_a_key_is_made_once(tmp_path: Path) -> None:
    place = tmp_path / "new" / "folder" / "key"
    made, is_new = key_in(place)
    again, is_new_again = key_in(place)
    assert (is_new, is_new_again) == (True, False)
    assert made == again
    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert [path.name for path in place.parent.iterdir()] == ["key"]
    assert key_in(tmp_path / "other")[0] != made


def test_many_who_make_a_key_at_once_get_one(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: key_in(tmp_path / "key"), range(16)))
    assert len({key.secret for key, _ in found}) == 1
    assert sum(is_new for _, is_new in found) == 1


@pytest.mark.parametrize("content", [b"", b"1234", b"zz" * 32, b"00" * 33, bytes(range(200, 256))])
def test_what_is_no_key_is_refused_and_stays(tmp_path: Path, content: bytes) -> None:
    place = tmp_path / "key"
    place.write_bytes(content)
    place.chmod(0o600)
    with pytest.raises(InstallError, match="is no key"):
        key_in(place)
    assert place.read_bytes() == content


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    key_in(tmp_path / "key")
    (tmp_path / "key").chmod(mode)
    with pytest.raises(InstallError, match="chmod 600"):
        key_in(tmp_path / "key")


def test_a_folder_is_no_key(tmp_path: Path) -> None:
    with pytest.raises(InstallError, match="can't be read"):
        key_in(tmp_path)


def test_a_place_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises((OutputError, InstallError)):
        key_in(tmp_path / "file" / "key")
