"""Keys go in and nothing but subkeys comes out."""

from __future__ import annotations

import base64
import copy
import hmac
import json
import os
import pickle
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from guardrails_plugin.crypto.keyring import Keyring
from guardrails_plugin.errors import ConfigError

K1 = bytes(range(100, 132))
K2 = bytes(range(200, 216))
B1 = base64.b64encode(K1).decode()
B2 = base64.urlsafe_b64encode(K2).decode().rstrip("=")
SECRET = [B1, B2, B1.rstrip("="), B1[:12], B2[:12], K1.hex(), K2.hex(), repr(K1)[2:20]]


def same(left: Keyring, right: Keyring) -> bool:
    """True when both hold the same keys in the same roles."""
    ids = left.key_ids == right.key_ids and left.primary == right.primary
    return ids and all(left.subkey("x", key_id=i) == right.subkey("x", key_id=i) for i in left.key_ids)


def test_the_first_key_is_primary_unless_another_is_named() -> None:
    """Order of the mapping, then the argument."""
    assert Keyring({"k1": K1, "k2": K2}).primary == "k1"
    assert Keyring({"k1": K1, "k2": K2}, primary="k2").primary == "k2"


def test_generated_keyrings_differ_in_key_and_id() -> None:
    """So a token of another process is refused for its unknown key, not as if it were forged."""
    one, other = Keyring.generate(), Keyring.generate()
    assert one.primary != other.primary
    assert one.subkey("token") != other.subkey("token")


def test_subkeys_are_hkdf_sha256() -> None:
    """RFC 5869, as the cryptography package computes it."""
    parts = (b"guardrails-plugin keyring v1", b"hash", b"acme")
    info = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    assert Keyring({"k": K1}).subkey("hash", tenant="acme") == HKDF(SHA256(), 32, None, info).derive(K1)


def test_subkeys_differ_by_purpose_tenant_and_key() -> None:
    """No two of them are equal, not even where the parts joined would be."""
    ring = Keyring({"k1": K1, "k2": K2})
    cases = [("token", "", "k1"), ("hash", "", "k1"), ("token", "a", "k1"), ("token", "", "k2")]
    cases += [("tokena", "", "k1"), ("fpe:US_SSN", "", "k1"), ("fpe:US_SS", "N", "k1"), ("fpe:US_SSN", "N", "k1")]
    keys = {ring.subkey(purpose, tenant=tenant, key_id=key_id) for purpose, tenant, key_id in cases}
    assert len(keys) == len(cases)
    assert all(len(key) == 32 for key in keys)
    assert ring.subkey("token") == ring.subkey("token", key_id="k1")


def test_caches_are_bounded() -> None:
    """Any number of tenants leaves a bounded number of derived keys."""
    ring = Keyring({"k": K1})
    for number in range(3000):
        ring.subkey("token", tenant=str(number))
    assert ring._subkey.cache_info().currsize <= 1024


@pytest.mark.parametrize(
    ("keys", "primary", "message"),
    [
        ({}, None, "at least one"),
        (None, None, "at least one"),
        ({"k": bytes(15)}, None, "key 1 of 1: 15 bytes long, expected 16 to 32"),
        ({"a": K1, "k": bytes(33)}, None, "key 2 of 2: 33 bytes"),
        ({"k": "text" * 8}, None, "expected bytes, got str"),
        ({"": K1}, None, "invalid id"),
        ({"a b": K1}, None, "invalid id"),
        ({"a" * 33: K1}, None, "invalid id"),
        ({1: K1}, None, "invalid id"),
        ({B1: K1}, None, "invalid id"),
        ({"k": K1}, "other", "not among the keys"),
    ],
)
def test_wrong_keys_are_refused_without_quoting_them(keys: dict[str, bytes], primary: str, message: str) -> None:
    """The message says which key and what was expected."""
    with pytest.raises(ConfigError, match=message) as caught:
        Keyring(keys, primary=primary)
    assert not any(secret in str(caught.value) for secret in SECRET)


@pytest.mark.parametrize(
    ("text", "primary"),
    [
        (f"k1:{B1},k2:{B2}", "k1"),
        (f"k1:{B1},*k2:{B2}", "k2"),
        (f" k1 : {B1} ,\n *k2:{B2}, ", "k2"),
        (f"*k1:{B1},k2:{B2}", "k1"),
    ],
)
def test_from_env(monkeypatch: pytest.MonkeyPatch, text: str, primary: str) -> None:
    """Either base64 alphabet, with or without padding, the starred one is primary."""
    monkeypatch.setenv("GUARDRAILS_KEYRING", text)
    assert same(Keyring.from_env(), Keyring({"k1": K1, "k2": K2}, primary=primary))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not set"),
        (" ", "not set"),
        (",", "holds no key"),
        (B1, "entry 1: expected id:base64key|entry 1: .* bytes long|entry 1: invalid id"),
        (f"{B1}:k1", "entry 1: "),
        (f"k1:{B1},k2:{B2}!", "entry 2: expected id:base64key"),
        (f"k1:{B1},k2", "entry 2: "),
        (f"k1:{B1[:8]}", "entry 1: 6 bytes long"),
        (f"k1:{B1},k1:{B2}", "entry 2: the same id twice"),
        (f"*k1:{B1},*k2:{B2}", "2 keys are marked"),
        (f"k1:{B1}é", "entry 1: expected id:base64key"),
    ],
)
def test_a_malformed_variable_is_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, text: str, message: str
) -> None:
    """The message names the variable and the entry, never what stands there."""
    monkeypatch.setenv("MY_KEYS", text)
    with pytest.raises(ConfigError, match=message) as caught:
        Keyring.from_env("MY_KEYS")
    assert "MY_KEYS" in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRET)
    assert caught.value.__cause__ is None


def test_from_file(tmp_path: Path) -> None:
    """One key a line, comments and empty lines apart."""
    path = tmp_path / "keys"
    path.write_text(f"# rotated in May\n\nk1:{B1}\n*k2:{B2}\n")
    path.chmod(0o600)
    assert same(Keyring.from_file(path), Keyring({"k1": K1, "k2": K2}, primary="k2"))
    assert same(Keyring.from_file(str(path)), Keyring.from_file(path))


@pytest.mark.skipif(os.name != "posix", reason="file modes")
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o660, 0o644])
def test_a_key_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """As ssh does; the message says what to do."""
    path = tmp_path / "keys"
    path.write_text(f"k1:{B1}")
    path.chmod(mode)
    with pytest.raises(ConfigError, match="chmod 600"):
        Keyring.from_file(path)


def test_unreadable_files_are_config_errors(tmp_path: Path) -> None:
    """Missing, a folder, empty, not text."""
    (tmp_path / "empty").touch(0o600)
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    (tmp_path / "binary").chmod(0o600)
    for name, message in [("none", "cannot be read"), (".", "cannot be read"), ("empty", "holds no key")]:
        with pytest.raises(ConfigError, match=message):
            Keyring.from_file(tmp_path / name)
    with pytest.raises(ConfigError, match="not a text file"):
        Keyring.from_file(tmp_path / "binary")


def test_nothing_shows_a_key() -> None:
    """Neither repr, str, format, nor what generic dumpers read; and there is no equality to compare keys by."""
    ring = Keyring({"k1": K1, "k2": K2})
    assert repr(ring) == str(ring) == f"{ring}" == "Keyring('k1', 'k2', primary='k1')"
    assert not hasattr(ring, "__dict__")
    assert ring != Keyring({"k1": K1, "k2": K2})
    with pytest.raises(TypeError):
        json.dumps(ring)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(protocol: int) -> None:
    """Keys do not travel to workers or caches; the message says what to do instead."""
    with pytest.raises(ConfigError, match="make one in each process"):
        pickle.dumps(Keyring({"k": K1}), protocol)


def test_a_copy_is_itself() -> None:
    """Frameworks deep-copy their configuration; keys are not multiplied by that."""
    ring = Keyring({"k": K1})
    assert copy.deepcopy({"a": [ring]})["a"][0] is ring
    assert copy.copy(ring) is ring


def test_an_unknown_key_is_named_but_not_an_unreadable_one() -> None:
    """Ids out of tokens are not printed unless they look like ids."""
    ring = Keyring({"k1": K1})
    with pytest.raises(ConfigError, match=r"key 'k9' is not in this keyring \(it holds: k1\)"):
        ring.subkey("token", key_id="k9")
    with pytest.raises(ConfigError, match="of unreadable id"):
        ring.ff1("US_SSN", 10, key_id="\x1b[2J")


def test_ciphers_are_kept_and_separate() -> None:
    """One object per type, radix, tenant and key."""
    ring = Keyring({"k1": K1, "k2": K2})
    assert ring.ff1("US_SSN", 10) is ring.ff1("US_SSN", 10, key_id="k1")
    made = [ring.ff1("US_SSN", 10), ring.ff1("PHONE", 10), ring.ff1("US_SSN", 10, tenant="a")]
    made.append(ring.ff1("US_SSN", 10, key_id="k2"))
    assert len({cipher.encrypt("123456789") for cipher in made}) == 4


def test_the_master_key_is_never_used_itself() -> None:
    """A subkey is not the plain HMAC of its purpose either."""
    ring = Keyring({"k1": K1})
    assert ring.subkey("hash") not in (K1, hmac.digest(K1, b"hash", sha256))
