"""Custom scanners: one document each, with all its versions.

A scanner that is not published runs nowhere but where it is forced on. Of a published one the version published last
counts, unless a project pins another. A plain edit makes a draft and takes the scanner out of production; an edit
that names its version leaves the published one running until the new one is published.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from guardrails_plugin.planning import Planner
from guardrails_plugin.scanners import Keywords, NaturalLanguage, RegularExpressions
from guardrails_plugin.server.identity import iso, new_id, now
from guardrails_plugin.server.problems import invalid
from guardrails_plugin.server.routers.calypso.wire import Described, Direction, Name, Wire
from guardrails_plugin.server.store.objects import Object

__all__ = [
    "SCANNER",
    "Config",
    "CustomConfig",
    "KeywordConfig",
    "NewVersion",
    "RegexConfig",
    "active_version",
    "body",
    "checked_config",
    "definition",
    "edited",
    "newest",
    "of_id",
    "published",
    "version_meta",
]

SCANNER = "calypso.scanner"
"""Kind of the documents."""

Definition = Keywords | RegularExpressions | NaturalLanguage
_Word = Annotated[str, Field(min_length=1, max_length=4_000, pattern=r"^[^\x00]*$")]


class KeywordConfig(Wire):
    """Words and sentences."""

    type: Literal["keyword"]
    words: Annotated[list[_Word], Field(min_length=1, max_length=5_000)]


class RegexConfig(Wire):
    """A regular expression in re2 syntax."""

    type: Literal["regex"]
    pattern: _Word


class CustomConfig(Wire):
    """A definition in plain words, judged by a language model."""

    type: Literal["custom"]
    input: _Word
    scan_context: Literal["directional", "full"] = "directional"


Config = Annotated[KeywordConfig | RegexConfig | CustomConfig, Field(discriminator="type")]
_CONFIG: TypeAdapter[KeywordConfig | RegexConfig | CustomConfig] = TypeAdapter(Config)


class NewVersion(Wire):
    """What is said about a version when it is made."""

    name: Name | None = None
    description: Described = ""
    published: bool = False


def definition(config: Mapping[str, Any]) -> Definition:
    """What a scanner looks for, as the rest of the package says it."""
    if config["type"] == "keyword":
        return Keywords(terms=tuple(config["words"]))
    if config["type"] == "regex":
        return RegularExpressions(patterns={"match": config["pattern"]})
    return NaturalLanguage(text=config["input"])


def checked_config(config: Any) -> dict[str, Any]:
    """A configuration that compiles.

    Raises:
        ConfigError: a pattern that re2 does not have, words without letters.
        ApiError: 400, it is none of the three kinds.
    """
    try:
        made = _CONFIG.validate_python(config).model_dump(by_alias=True)
    except ValidationError:
        raise invalid(
            'config: expected {"type": "keyword", "words": [...]}, {"type": "regex", "pattern": ...} or '
            '{"type": "custom", "input": ...}.'
        ) from None
    what = definition(made)
    if isinstance(what, Keywords):
        Planner().detector("keywords", {"terms": what.terms}, "config")
    elif isinstance(what, RegularExpressions):
        Planner().detector("regex", {"patterns": dict(what.patterns)}, "config")
    return made


def body(
    config: Mapping[str, Any],
    direction: Direction,
    made_by: str,
    *,
    given: NewVersion,
    shared: bool = False,
    public: bool = False,
) -> dict[str, Any]:
    """A new scanner's document.

    Args:
        config: checked.
        direction: what it scans.
        made_by: who makes it.
        given: about its first version.
        shared: it is for every project.
        public: it goes into production at once.
    """
    public = public or given.published
    first = _version(1, config, direction, made_by, given, public=public)
    return {"global": shared, "published": public, "versions": [first]}


def edited(
    old: Mapping[str, Any],
    made_by: str,
    *,
    config: Mapping[str, Any] | None,
    direction: Direction | None,
    given: NewVersion | None,
    public: bool,
) -> dict[str, Any]:
    """The document with one more version."""
    last = newest(old)
    public = public or bool(given and given.published)
    made = _version(
        len(old["versions"]) + 1,
        config or last["config"],
        direction or last["direction"],
        made_by,
        given or NewVersion(),
        public=public,
    )
    stays = old["published"] and given is not None
    return {**old, "versions": [*old["versions"], made], "published": public or stays}


def published(old: Mapping[str, Any], version_id: str | None, *, public: bool) -> dict[str, Any]:
    """The document with a version (or, without an id, the scanner and its newest version) published or withdrawn."""
    versions = [dict(version) for version in old["versions"]]
    chosen = [version for version in versions if version["id"] == (version_id or versions[-1]["id"])]
    if public or version_id:
        for version in chosen:
            version |= {"published": public, "publishedAt": iso(now()) if public else None}
    out = (public or old["published"]) if version_id else public
    return {**old, "versions": versions, "published": bool(out and any(version["published"] for version in versions))}


def newest(scanner: Mapping[str, Any]) -> dict[str, Any]:
    """The version made last."""
    return dict(scanner["versions"][-1])


def active_version(scanner: Mapping[str, Any], pinned: str | None, *, draft: bool = False) -> dict[str, Any] | None:
    """The version that counts.

    Args:
        scanner: its document.
        pinned: the version that a project chose.
        draft: where nothing is published, take the newest version.
    """
    out = [version for version in scanner["versions"] if version["published"]] if scanner["published"] else []
    if pinned:
        out = [version for version in out if version["id"] == pinned]
    if out:
        return dict(max(out, key=lambda version: (version["publishedAt"], version["id"])))
    return newest(scanner) if draft else None


def version_meta(version: Mapping[str, Any]) -> dict[str, Any]:
    """What is told about a version."""
    return {key: version[key] for key in ("createdAt", "createdBy", "description", "id", "name", "published")}


def of_id(scanners: Sequence[Object], scanner_id: str) -> Object | None:
    """The scanner with this id."""
    return next((found for found in scanners if found.id == scanner_id), None)


def _version(
    number: int,
    config: Mapping[str, Any],
    direction: Direction,
    made_by: str,
    given: NewVersion,
    *,
    public: bool,
) -> dict[str, Any]:
    moment = iso(now())
    return {
        "id": new_id(),
        "name": given.name or f"v_{number}",
        "description": given.description,
        "config": dict(config),
        "direction": direction,
        "published": public,
        "publishedAt": moment if public else None,
        "createdAt": moment,
        "createdBy": made_by,
    }
