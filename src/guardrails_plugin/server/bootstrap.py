"""The first project and the credentials that the environment names. Runs at every start and changes what changed."""

from __future__ import annotations

from guardrails_plugin.server.auth import ADMIN, GUARD, MANAGE, Authenticator
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.settings import Settings
from guardrails_plugin.server.store.records import Project
from guardrails_plugin.server.store.store import DEFAULT_PROJECT, Store

__all__ = ["bootstrap"]

_TOKEN = "bootstrap"  # noqa: S105 - the row's id
_EVERYTHING = (GUARD, MANAGE, ADMIN)


def bootstrap(store: Store, authenticator: Authenticator, settings: Settings) -> None:
    """Make the default project, and the token, user and OAuth client of the settings.

    A token or client that the environment no longer names is revoked; a user stays, and keeps a password changed since.
    """
    project = store.project(DEFAULT_PROJECT) or _made(store)
    _bearer(store, authenticator, settings, project)
    _client(store, authenticator, settings, project)
    if settings.bootstrap_user and store.user_by_email(settings.bootstrap_user[0]) is None:
        email, password = settings.bootstrap_user
        try:
            store.create_user(project.id, email, authenticator.hash_password(password), scopes=_EVERYTHING)
        except ApiError:  # another worker was faster
            return


def _made(store: Store) -> Project:
    try:
        return store.create_project("Default", friendly_id=DEFAULT_PROJECT, kind="global")
    except ApiError:
        found = store.project(DEFAULT_PROJECT)
        if found is None:
            raise
        return found


def _bearer(store: Store, authenticator: Authenticator, settings: Settings, project: Project) -> None:
    text = settings.bootstrap_token
    principal = authenticator.recognise(text) if text else None
    if principal is not None and principal.token_id == _TOKEN:
        return
    store.delete_token(project.id, _TOKEN)
    if text:
        _issue(authenticator, project, token_id=_TOKEN, secret=text, name="bootstrap", scopes=_EVERYTHING)


def _client(store: Store, authenticator: Authenticator, settings: Settings, project: Project) -> None:
    given = settings.bootstrap_client
    for old in store.tokens(project.id, kind="client"):
        if old.name == "bootstrap" and (given is None or old.id != given[0]):
            store.delete_token(project.id, old.id)
    if given is None or authenticator.client(*given) is not None:
        return
    store.delete_token(project.id, given[0])
    secret = authenticator.client_secret(*given)
    _issue(authenticator, project, kind="client", token_id=given[0], secret=secret, name="bootstrap")


def _issue(authenticator: Authenticator, project: Project, **options: object) -> None:
    try:
        authenticator.issue(project.id, **options)  # type: ignore[arg-type]
    except ApiError:
        return  # another worker was faster
