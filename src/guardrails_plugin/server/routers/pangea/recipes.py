"""Pangea's recipes and overrides in terms of ours.

Its seven built-in recipes are the recipes of our stages; a project's own recipe of the same name comes first, and any
other recipe can be named. Overrides of rules that the recipe has go to the engine as overrides; a detector that it
lacks, other settings and ``ignore_recipe`` make a recipe for this call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from guardrails_plugin import registry
from guardrails_plugin.recipes import Recipe, Rule
from guardrails_plugin.server.exchange import Exchange
from guardrails_plugin.server.guarding import KEEP_LAST, Guarding
from guardrails_plugin.server.routers.pangea.envelope import faulty
from guardrails_plugin.types import Stage

__all__ = ["ACTIONS", "DEFAULT", "WIRE_NAMES", "Chosen", "choose", "overridden"]

DEFAULT = "pangea_prompt_guard"

_STAGES = {
    "pangea_prompt_guard": Stage.PROMPT,
    "pangea_ingestion_guard": Stage.INGESTION,
    "pangea_llm_prompt_guard": Stage.LLM_PROMPT,
    "pangea_llm_response_guard": Stage.RESPONSE,
    "pangea_agent_pre_plan_guard": Stage.PRE_PLAN,
    "pangea_agent_pre_tool_guard": Stage.PRE_TOOL,
    "pangea_agent_post_tool_guard": Stage.POST_TOOL,
}

WIRE_NAMES = {
    "prompt_injection": "prompt_injection",
    "pii": "pii_entity",
    "named_entities": "pii_entity",
    "secrets": "secrets_detection",
    "malicious_url": "malicious_entity",
    "code": "code_detection",
    "language": "language_detection",
    "toxicity": "profanity_and_toxicity",
    "self_harm": "selfharm",
    "role_play": "roleplay",
    "keywords": "custom_entity",
    "regex": "custom_entity",
    "system_prompt_leak": "hardening",
    "topics": "topic",
}
"""Our detectors as Pangea calls them; the others keep their names."""

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

_ANALYSED = "not analysed here"


@dataclass(frozen=True, slots=True)
class Chosen:
    """A recipe to run.

    Attributes:
        name: what the client called it.
        made: it was made for this call, so that the engine does not know it by name.
        overrides: for the engine.
    """

    name: str
    stage: Stage
    recipe: Recipe
    made: bool = False
    overrides: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def reference(self) -> str | Recipe:
        """What `Guarding.check` takes as ``recipe``."""
        return self.recipe if self.made else self.recipe.name


async def choose(guard: Guarding, exchange: Exchange, name: str, stage: Stage = Stage.PROMPT) -> Chosen:
    """The recipe of that name.

    Args:
        guard: knows the project's recipes.
        exchange: of the asking project.
        name: one of Pangea's, the project's, the operator's or the built-in ones.
        stage: for recipes that are not for one stage only.

    Raises:
        ApiError: 400, there is none.
    """
    known = {(recipe.name, recipe.stage): recipe for recipe in await guard.recipes(exchange)}
    own = _STAGES.get(name)
    wanted = own or stage
    found = known.get((name, wanted)) or known.get((name, None))
    if found is None and own is not None:
        found = known[own.value, own]
    if found is None:
        found = next((recipe for (called, _), recipe in known.items() if called == name), None)
        if found is None:
            raise faulty("/recipe", f"There is no recipe of the name {name[:80]!r}.", "DoesNotExist")
        wanted = found.stage or stage
    return Chosen(name, wanted, found)


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
    fields = {key: value for key, value in (("action", action), ("threshold", threshold)) if value not in ("", None)}
    names = given.get(listed, []) if listed else []
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise faulty(f"{where}/{listed}", "Expected an array of strings.", "InvalidArray")
    if action == "allow":
        return _allowing(names)
    chosen: Mapping[str, Any] = {"deny": tuple(names), "allow": ()}
    if detector == "language":
        chosen = {"allowed": (), "denied": tuple(names)}
    return _Change(detector, fields=fields, settings=chosen if names else {})


def _allowing(languages: Sequence[str]) -> _Change:
    """Only these languages; every language when none is named."""
    if not languages:
        return _Change("language", disabled=True)
    return _Change("language", settings={"allowed": tuple(languages), "denied": ()})


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
            rules[index] = rule.model_copy(update={"settings": settings})
        made = {"disabled": True} if change.disabled else {**unnamed, **change.fields}
        if made:
            engine[rule.name] = {**engine.get(rule.name, {}), **made}
    wanted = change.settings or set(change.fields.values()) - {"disabled"}
    if not places and wanted and not change.disabled:
        if change.detector == "topics":
            raise faulty("/overrides/topic", "The recipe has no topics; a project's own recipe can.", "DoesNotExist")
        rules.append(_new_rule(change))


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
