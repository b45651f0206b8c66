"""Signing in, sessions, clients, keys: who is recognised, and who is not."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import argon2
import jwt
import pytest
import sqlalchemy as sa

from guardrails_plugin import Keyring
from guardrails_plugin.server.app import prepare
from guardrails_plugin.server.auth import ADMIN, GUARD, MANAGE, Authenticator
from guardrails_plugin.server.identity import now
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store import Database, Store
from guardrails_plugin.server.store.tables import metadata
from tests.integration.server.conftest import CLIENT, TOKEN, USER

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    made = Settings(
        keyring=Keyring({"t1": bytes(range(32))}),
        database_url=f"sqlite:///{tmp_path_factory.mktemp('auth') / 'guardrails.db'}",
        bootstrap_token=TOKEN,
        bootstrap_user=USER,
        bootstrap_client=CLIENT,
    )
    prepare(made)
    return made


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    database = Database(settings.database_url)
    yield Store(database)
    database.close()


@pytest.fixture
def authenticator(store: Store, settings: Settings) -> Authenticator:
    return Authenticator(store, settings.keyring)


@pytest.fixture
def project(store: Store) -> str:
    found = store.project("default")
    assert found is not None
    return found.id


def test_the_bootstrap_token_is_an_administrators(authenticator: Authenticator, project: str) -> None:
    principal = authenticator.recognise(TOKEN)
    assert principal is not None
    assert (principal.project_id, principal.is_admin) == (project, True)
    assert TOKEN not in repr(principal)


@pytest.mark.parametrize("text", ["", "x", TOKEN + " ", TOKEN[:-1], "a.b.c", "..", "\ud800", "x" * 10_000])
def test_nobody_else_is_recognised(authenticator: Authenticator, text: str) -> None:
    assert authenticator.recognise(text) is None


def test_passwords(authenticator: Authenticator) -> None:
    user = authenticator.login("ADMIN@example.com", USER[1])
    assert user is not None
    assert ADMIN in user.scopes
    assert USER[1] not in repr(user)
    assert authenticator.login(USER[0], "wrong") is None
    assert authenticator.login("nobody@example.com", USER[1]) is None


def test_a_session_is_its_users(authenticator: Authenticator, store: Store) -> None:
    user = store.user_by_email(USER[0])
    assert user is not None
    text, seconds = authenticator.session(user=user)
    principal = authenticator.recognise(text)
    assert principal is not None
    assert (principal.user_id, seconds) == (user.id, 3600)


def test_a_session_ends_with_its_user(authenticator: Authenticator, store: Store, project: str) -> None:
    user = store.create_user(project, "leaver@example.com", "unused", scopes=[GUARD])
    text, _ = authenticator.session(user=user)
    key, _ = authenticator.issue(project, owner_id=user.id)
    assert authenticator.recognise(text) is not None
    assert authenticator.recognise(key) is not None
    store.update_user(project, user.id, is_active=False)
    assert authenticator.recognise(text) is None
    assert authenticator.recognise(key) is None


def test_forged_sessions_are_refused(authenticator: Authenticator, settings: Settings, store: Store) -> None:
    user = store.user_by_email(USER[0])
    assert user is not None
    opened, _ = authenticator.session(user=user)
    claims = jwt.decode(opened, options={"verify_signature": False})
    right = settings.keyring.subkey("session")
    head = {"kid": "t1"}
    assert authenticator.recognise(jwt.encode(claims, right, "HS256", headers=head)) is not None
    forged = [
        jwt.encode(claims, bytes(32), "HS256", headers=head),
        jwt.encode(claims, right, "HS256", headers={"kid": "t2"}),
        jwt.encode(claims, right * 2, "HS512", headers=head),
        jwt.encode({**claims, "exp": 1}, right, "HS256", headers=head),
        jwt.encode({**claims, "aud": "other"}, right, "HS256", headers=head),
        jwt.encode({**claims, "sub": "nobody"}, right, "HS256", headers=head),
        jwt.encode({k: v for k, v in claims.items() if k != "exp"}, right, "HS256", headers=head),
        jwt.encode({k: v for k, v in claims.items() if k != "pwd"}, right, "HS256", headers=head),
        jwt.encode({**claims, "pwd": "0" * 32}, right, "HS256", headers=head),
        _unsigned(claims),
    ]
    assert [authenticator.recognise(text) for text in forged] == [None] * len(forged)


def _unsigned(claims: dict[str, object]) -> str:
    parts = [{"alg": "none", "typ": "JWT", "kid": "t1"}, claims]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts) + "."


def test_clients(authenticator: Authenticator) -> None:
    client = authenticator.client(*CLIENT)
    assert client is not None
    assert authenticator.client(CLIENT[0], "wrong") is None
    assert authenticator.client("nobody", CLIENT[1]) is None
    assert authenticator.recognise(CLIENT[1]) is None
    text, _ = authenticator.session(client=client)
    principal = authenticator.recognise(text)
    assert principal is not None
    assert principal.scopes == {GUARD}


def test_secrets_are_kept_as_keyed_hashes(authenticator: Authenticator, store: Store, project: str) -> None:
    text, token = authenticator.issue(project, kind="rampart", prefix="rmp_live", scopes=(GUARD, MANAGE))
    assert text.startswith("rmp_live_")
    assert text not in repr(store.tokens(project))
    # The secret itself may have underscores of its own: it is what stands behind prefix and identifier.
    assert text.split("_", 3)[3] not in token.preview
    assert authenticator.recognise(text) is not None


def test_revoked_and_expired_keys(authenticator: Authenticator, store: Store, project: str) -> None:
    text, token = authenticator.issue(project)
    past, _ = authenticator.issue(project, expires_at=now() - timedelta(seconds=1))
    assert authenticator.recognise(text) is not None
    assert authenticator.remembered(text) is not None
    assert authenticator.recognise(past) is None
    store.delete_token(project, token.id)
    authenticator.forget()
    assert authenticator.remembered(text) is None
    assert authenticator.recognise(text) is None


def test_a_rotated_keyring_still_knows_old_credentials(store: Store, settings: Settings, project: str) -> None:
    text, _ = Authenticator(store, settings.keyring).issue(project)
    rotated = Keyring({"t1": bytes(range(32)), "t2": bytes(32)}, primary="t2")
    assert Authenticator(store, rotated).recognise(text) is not None
    assert Authenticator(store, Keyring({"t2": bytes(32)})).recognise(text) is None


def test_an_environment_without_the_token_revokes_it(settings: Settings, store: Store) -> None:
    other = "another-token-of-the-tests-0123456789"
    prepare(replace(settings, bootstrap_token=other, bootstrap_client=None))
    fresh = Authenticator(store, settings.keyring)
    assert fresh.recognise(TOKEN) is None
    assert fresh.recognise(other) is not None
    assert fresh.client(*CLIENT) is None
    prepare(settings)
    assert Authenticator(store, settings.keyring).recognise(TOKEN) is not None


def test_an_unknown_user_costs_what_a_wrong_password_does(
    authenticator: Authenticator, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify, against = argon2.PasswordHasher.verify, list[str]()

    def spy(hasher: argon2.PasswordHasher, kept: str, password: str) -> Any:
        against.append(kept)
        return verify(hasher, kept, password)

    monkeypatch.setattr(argon2.PasswordHasher, "verify", spy)
    assert authenticator.login(USER[0], "wrong") is None
    assert authenticator.login("nobody@example.com", "wrong") is None
    known, unknown = (argon2.extract_parameters(kept) for kept in against)
    assert known == unknown


def test_secrets_are_compared_in_constant_time(
    authenticator: Authenticator, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    compare, compared = hmac.compare_digest, list[tuple[Any, Any]]()

    def spy(left: Any, right: Any) -> bool:
        compared.append((left, right))
        return compare(left, right)

    user = store.user_by_email(USER[0])
    assert user is not None
    session, _ = authenticator.session(user=user)
    monkeypatch.setattr(hmac, "compare_digest", spy)
    kept = store.token_by_id(CLIENT[0])
    assert kept is not None
    assert authenticator.client(CLIENT[0], "wrong") is None
    assert [right for _, right in compared] == [kept.digest]
    # An unknown client is compared too, with what no secret has.
    assert authenticator.client("nobody", CLIENT[1]) is None
    assert len(compared) == 2
    compared.clear()
    assert authenticator.recognise(session) is not None
    assert any(left == right for left, right in compared)


def test_without_bootstrap_variables_there_are_no_credentials(tmp_path: Path) -> None:
    empty = Settings(keyring=Keyring({"t1": bytes(32)}), database_url=f"sqlite:///{tmp_path / 'guardrails.db'}")
    prepare(empty)
    database = Database(empty.database_url)
    with database.read() as connection:
        counted = {
            name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for name, table in metadata.tables.items()
        }
    database.close()
    assert {name for name, count in counted.items() if count} == {"projects"}
    assert {"tokens", "users"} <= set(counted)
