"""Pangea's overrides in terms of ours.

Overrides of rules that the recipe has go to the engine as overrides; a detector that it lacks, other settings and
``ignore_recipe`` make a recipe for this call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guardrails_plugin import registry
from guardrails_plugin.detectors.scripts import LANGUAGES
from guardrails_plugin.recipes import Rule
from guardrails_plugin.server.guarding import KEEP_LAST
from guardrails_plugin.server.routers.pangea.envelope import faulty
from guardrails_plugin.server.routers.pangea.recipes import Chosen

__all__ = ["ACTIONS", "overridden"]

_OURS = {
    "code_detection": "code",
    "code": "code",
    "language_detection": "language",
    "language": "language",
    "prompt_injection": "prompt_injection",
    "malicious_prompt": "prompt_injection",
    "gibberish": "gibberish",
    "roleplay": "role_play",
    "competitors": "competitors",
    "selfharm": "self_harm",
    "sentiment": "sentiment",
    "topic": "topics",
    "malicious_entity": "malicious_url",
    "pii_entity": "pii",
    "confidential_and_pii_entity": "pii",
    "secrets_detection": "secrets",
    "secret_and_key_entity": "secrets",
    "profanity_and_toxicity": "toxicity",
}

ACTIONS = {
    "disabled": "disabled",
    "report": "report",
    "block": "block",
    "mask": "mask",
    "partial_masking": KEEP_LAST,
    "replacement": "replace",
    "hash": "hash",
    "fpe": "encrypt",
    "defang": "defang",
}

_URL = ("MALICIOUS_URL", "DATA_EXFILTRATION_URL")
_TYPES: Mapping[str, Mapping[str, Sequence[str]]] = {
    "malicious_url": {"url": _URL, "domain": ("MALICIOUS_DOMAIN",), "ip_address": ("MALICIOUS_IP",)},
    "pii": {
        "location": ("GEO_COORDINATES", "US_ZIP", "UK_POSTCODE", "CA_POSTAL_CODE"),
        "date_time": ("DATE_OF_BIRTH", "DATE_TIME"),
        "nif": ("ES_NIF",),
    },
    "secrets": {
        "rsa_private_key": ("PRIVATE_KEY",),
        "ssh_dsa_private_key": ("PRIVATE_KEY",),
        "ssh_ec_private_key": ("PRIVATE_KEY",),
        "pgp_private_key_block": ("PRIVATE_KEY",),
        "amazon_aws_access_key_id": ("AWS_ACCESS_KEY_ID",),
        "amazon_aws_secret_access_key": ("AWS_SECRET_ACCESS_KEY",),
        "amazon_mws_auth_token": ("AWS_MWS_TOKEN",),
        "facebook_access_token": ("FACEBOOK_TOKEN", "FACEBOOK_SECRET"),
        "github_access_token": ("GITHUB_TOKEN",),
        "jwt_token": ("JWT",),
        "google_api_key": ("GCP_API_KEY",),
        "google_cloud_platform_api_key": ("GCP_API_KEY",),
        "google_drive_api_key": ("GCP_API_KEY",),
        "google_gmail_api_key": ("GCP_API_KEY",),
        "youtube_api_key": ("GCP_API_KEY",),
        "google_cloud_platform_service_account": ("PRIVATE_KEY",),
        "basic_auth": ("BASIC_CREDENTIALS", "URL_PASSWORD"),
        "stripe_api_key": ("STRIPE_SECRET_KEY", "STRIPE_TEST_KEY"),
        "stripe_restricted_api_key": ("STRIPE_SECRET_KEY", "STRIPE_TEST_KEY"),
        "square_access_token": ("SQUARE_TOKEN",),
        "square_oauth_secret": ("SQUARE_SECRET",),
        "twilio_api_key": ("TWILIO_API_KEY", "TWILIO_AUTH_TOKEN"),
        "picatic_api_key": ("STRIPE_SECRET_KEY",),
    },
}
"""Pangea's entity types that are not ours in lower case. Google's keys look alike, as do its service accounts' keys
and others; Picatic's have the shape of Stripe's."""

_OPTIONAL = frozenset({"DATE_TIME", "MONEY", "URL"})
"""What ``pii`` looks for only where it is named. One of them named switches the others on and their actions off, so
that all calls share one compiled set of patterns."""

_NAMES = ("person", "location", "nrp")
"""What a model finds, ``location`` by pattern, too."""

_LISTED = {"language": "languages", "topics": "topics"}
"""What an override of a detector can name."""

_OWN = {"topics": ("topic", "topics"), "competitors": ("competitors", "competitors")}
"""Detectors of what only a project can name: where an override of them stands, and what the recipe has to hold."""

_ANALYSED = "not analysed here"


def overridden(chosen: Chosen, overrides: Mapping[str, Any]) -> Chosen:
    """The recipe with a client's overrides.

    Raises:
        ApiError: 400, one of them is unknown, wrong, or asks for what is not available.
    """
    changes = {name: change for name, change in overrides.items() if name != "ignore_recipe"}
    fresh = overrides.get("ignore_recipe", False)
    if not isinstance(fresh, bool):
        raise faulty("/overrides/ignore_recipe", "Expected true or false.", "InvalidBool")
    rules: list[Rule] = [] if fresh else list(chosen.recipe.rules)
    engine: dict[str, dict[str, Any]] = {}
    for name, change in changes.items():
        for change_ in _changes(name, change):
            _apply(change_, rules, engine)
    made = rules != list(chosen.recipe.rules)
    recipe = chosen.recipe.model_copy(update={"rules": tuple(rules)}) if made else chosen.recipe
    return Chosen(chosen.name, chosen.stage, recipe, made, engine)


@dataclass(frozen=True, slots=True)
class _Change:
    """What is to become of the rules of one detector; types that are not named keep the rule's action."""

    detector: str
    disabled: bool = False
    fields: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)


def _changes(name: str, change: object) -> Iterator[_Change]:
    where = f"/overrides/{name}"
    if not isinstance(change, Mapping):
        raise faulty(where, "Expected an object.", "InvalidObject")
    disabled = change.get("disabled", False)
    if not isinstance(disabled, bool):
        raise faulty(f"{where}/disabled", "Expected true or false.", "InvalidBool")
    given = {key: value for key, value in change.items() if key != "disabled" and value not in (None, "")}
    if name == "image":
        if given and not disabled:
            raise faulty(where, f"Images are {_ANALYSED}.", "DoesNotExist")
        return
    detector = _detector(name, where)
    if disabled:
        yield _Change(detector, disabled=True)
        if detector == "pii":
            yield _Change("named_entities", disabled=True)
    elif not given:
        return
    elif detector in _TYPES:
        yield from _by_type(detector, given, where)
    else:
        yield _plain(detector, given, where)


def _detector(name: str, where: str) -> str:
    detector = _OURS.get(name)
    if detector is None:
        raise faulty(where, "Unknown detector.", "UnexpectedProperty")
    return detector


def _by_type(detector: str, given: Mapping[str, Any], where: str) -> Iterator[_Change]:
    """An action for each of a detector's entity types."""
    known = _entity_types(detector) | (_OPTIONAL if detector == "pii" else frozenset())
    actions: dict[str, str] = {}
    for key, value in given.items():
        if not isinstance(value, str) or value not in ACTIONS or (value == "defang") > (detector == "malicious_url"):
            raise faulty(f"{where}/{key}", "Unknown action.", "NotEnumMember")
        if detector == "pii" and key in _NAMES:
            yield _Change("named_entities", fields={key.upper(): ACTIONS[value]})
            if key != "location":
                continue
        types = [kind for kind in _TYPES[detector].get(key, (key.upper(),)) if kind in known]
        if not types and value != "disabled":
            raise faulty(f"{where}/{key}", f"Values of this type are {_ANALYSED}.", "DoesNotExist")
        if detector == "malicious_url" and key == "url" and value == "disabled":
            types.append("SUSPICIOUS_URL")
        actions |= dict.fromkeys(types, ACTIONS[value])
    optional = not _OPTIONAL.isdisjoint(actions) and detector == "pii"
    yield _Change(detector, fields=actions, settings={"optional": tuple(sorted(_OPTIONAL))} if optional else {})


def _plain(detector: str, given: Mapping[str, Any], where: str) -> _Change:
    """An action, a threshold, and the languages or topics it is about."""
    listed = _LISTED.get(detector, "")
    if unknown := set(given) - {"action", "threshold", listed}:
        raise faulty(f"{where}/{min(unknown)}", "Unknown field.", "UnexpectedProperty")
    action = given.get("action", "")
    if action not in ("", "report", "block", *(["allow"] if detector == "language" else [])):
        raise faulty(f"{where}/action", "Unknown action.", "NotEnumMember")
    threshold = given.get("threshold")
    if threshold is not None and (isinstance(threshold, bool) or not isinstance(threshold, (int, float))):
        raise faulty(f"{where}/threshold", "Expected a number.", "InvalidNumber")
    if threshold is not None and not 0 <= threshold <= 1:
        raise faulty(f"{where}/threshold", "Expected a number from 0 to 1.", "NotWithinRange")
    fields = {key: value for key, value in (("action", action), ("threshold", threshold)) if value not in ("", None)}
    names = given.get(listed, []) if listed else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise faulty(f"{where}/{listed}", "Expected an array of strings.", "InvalidArray")
    if detector == "language" and (foreign := [name for name in names if name.lower() not in LANGUAGES]):
        detail = f"Unknown language {foreign[0][:80]!r}; expected codes of ISO 639."
        raise faulty(f"{where}/{listed}", detail, "DoesNotExist")
    if action == "allow":
        return _allowing(names, {name: fields[name] for name in fields if name != "action"})
    chosen: Mapping[str, Any] = {"deny": tuple(names), "allow": ()}
    if detector == "language":
        chosen = {"allowed": (), "denied": tuple(names)}
    return _Change(detector, fields=fields, settings=chosen if names else {})


def _allowing(languages: Sequence[str], fields: Mapping[str, Any]) -> _Change:
    """Only these languages; every language when none is named."""
    if not languages:
        return _Change("language", disabled=True)
    return _Change("language", fields=fields, settings={"allowed": tuple(languages), "denied": ()})


def _apply(change: _Change, rules: list[Rule], engine: dict[str, dict[str, Any]]) -> None:
    """Write a change into the engine's overrides, or into the rules."""
    places = [index for index, rule in enumerate(rules) if rule.detector == change.detector]
    for index in places:
        rule = rules[index]
        unnamed: dict[str, str] = {}
        if change.settings:
            settings = {**rule.settings, **change.settings}
            if "optional" in change.settings:
                own = frozenset(rule.settings.get("optional", ()))
                settings["optional"] = tuple(sorted(own.union(_OPTIONAL)))
                unnamed = dict.fromkeys(sorted(_OPTIONAL - own), "disabled")
            kept = _kept_actions(rule, settings) if change.detector == "topics" else rule.actions
            rules[index] = rule.model_copy(update={"settings": settings, "actions": kept})
        made = {"disabled": True} if change.disabled else {**unnamed, **_for_all(change, rules[index]), **change.fields}
        if made:
            engine[rule.name] = {**engine.get(rule.name, {}), **made}
    wanted = change.settings or set(change.fields.values()) - {"disabled"}
    if not places and wanted and not change.disabled:
        if change.detector in _OWN:
            where, what = _OWN[change.detector]
            raise faulty(
                f"/overrides/{where}", f"The recipe has no {what}; a project's own recipe can.", "DoesNotExist"
            )
        rules.append(_new_rule(change))


def _for_all(change: _Change, rule: Rule) -> dict[str, str]:
    """The detector's new action for the types that have one of their own in the recipe and are looked for."""
    action = change.fields.get("action")
    return {kind: action for kind, own in rule.actions.items() if own != "disabled"} if action else {}


def _kept_actions(rule: Rule, settings: Mapping[str, Any]) -> dict[str, str]:
    """Actions of the topics that are still looked for: a rule must not name others."""
    known: Iterable[str] = settings.get("topics", ())
    if unknown := sorted(set(settings["deny"]).difference(known)):
        valid = f"valid: {', '.join(known)}"
        raise faulty("/overrides/topic/topics", f"The recipe has no topic {unknown[0][:80]!r}; {valid}", "DoesNotExist")
    types = registry.load("detectors", "topics")(**settings).entity_types
    return {kind: action for kind, action in rule.actions.items() if kind.upper() in types}


def _new_rule(change: _Change) -> Rule:
    """A rule for a detector that the recipe lacks; of entity types only those that were named."""
    fields = dict(change.fields)
    injection = change.detector == "prompt_injection"
    return Rule.model_validate(
        {
            "detector": change.detector,
            "action": fields.pop("action", "disabled" if any(map(str.isupper, fields)) else "report"),
            "threshold": fields.pop("threshold", "balanced" if injection else 0.5),
            "trusted": ["system"] if injection else [],
            "settings": change.settings,
            "actions": fields,
        }
    )


def _entity_types(detector: str) -> frozenset[str]:
    types: frozenset[str] = registry.load("detectors", detector)().entity_types
    return types
