"""Measures detectors on the blind sets of ``data/blind`` (see its README) and prints a table.

    python tests/quality/measure_blind.py                   # all of them
    python tests/quality/measure_blind.py pii secrets       # these
    python tests/quality/measure_blind.py --groups code     # by category, issuer group, type or language, too
    python tests/quality/measure_blind.py --wrong code      # ids of rows that were judged wrongly

Each set goes through the engine with the rule of the built-in recipe of its stage, or with a rule of default settings
where no recipe has one. A text counts as found when there is a finding at or above the rule's threshold. Recall is
counted by text; for personal data by entity: half of it lies in findings of any type, and, in another row, of its own
type. Intervals are Wilson's (1927), 95 %.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from guardrails_plugin import Context, Engine, Finding, Recipe, Rule
from guardrails_plugin.tool_catalog import ToolPins, check_tools
from guardrails_plugin.types import Stage

BLIND = Path(__file__).parents[2] / "data" / "blind"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Outcome:
    """One thing that was to be found (``label``), or a text in which nothing was to be."""

    row: str
    label: bool
    found: bool
    group: str
    measure: str = ""


@dataclass(frozen=True)
class Setup:
    """How a set is run.

    Attributes:
        stage: where its texts stand.
        rules: detectors that share the task; which of their types count: all when empty.
        settings: of the first detector, from a row.
        judge: what a row's findings mean.
        variants: other settings that it is measured with, too, by the name of that measure.
    """

    stage: str
    rules: tuple[str, ...]
    types: frozenset[str] = frozenset()
    pack: str = ""
    settings: Callable[[Row], Mapping[str, Any]] = field(default=lambda _: {})
    judge: Callable[[Row, Sequence[Finding]], Iterator[Outcome]] | None = None
    variants: Mapping[str, Callable[[Row], Mapping[str, Any]]] = field(default_factory=dict)


def by_text(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Found or not."""
    yield Outcome(row["id"], bool(row["label"]), bool(findings), row["category"])


def by_issuer(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Found at all, and under its issuer's type; innocent rows are grouped by what they are."""
    if not row["label"]:
        yield Outcome(row["id"], label=False, found=bool(findings), group=row["issuer"])
        return
    yield Outcome(row["id"], label=True, found=bool(findings), group=row["group"])
    families = ISSUERS.get(row["issuer"], (row["issuer"].split("_")[0].upper(),))
    named = any(finding.entity_type.replace("_", "").startswith(families) for finding in findings)
    yield Outcome(row["id"], label=True, found=named, group=row["group"], measure="issuer named")


def by_value(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Each credential: half of it lies in findings. What else is found in its text is a false alarm of its own."""
    if not row["label"]:
        yield Outcome(row["id"], label=False, found=bool(findings), group=row["issuer"])
    for value in row["values"]:
        found = covered(row["text"], value, findings)
        yield Outcome(row["id"], label=True, found=found, group=row["issuer"])
    yield from beside(row, row["values"], findings)


def beside(row: Row, parts: Sequence[str], findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Whether a text with something to be found has findings that touch none of it."""
    if row["label"]:
        wrong = [f for f in findings if not any(part in row["text"][f.start : f.end] for part in parts)]
        wrong = [f for f in wrong if not any(row["text"][f.start : f.end] in part for part in parts)]
        yield Outcome(row["id"], label=False, found=bool(wrong), group="beside", measure="beside what is to be found")


def by_entity(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Each entity; one that stands twice in the text counts where it is found best."""
    if not row["label"]:
        yield Outcome(row["id"], label=False, found=bool(findings), group=f"no entity, {row['lang']}")
    for entity in row["entities"]:
        names = TYPES.get(entity["type"], (entity["type"],))
        own = [finding for finding in findings if finding.entity_type in names]
        yield Outcome(row["id"], label=True, found=covered(row["text"], entity["text"], findings), group=entity["type"])
        if entity["type"] not in NOT_BY_DEFAULT:
            typed = covered(row["text"], entity["text"], own)
            yield Outcome(row["id"], label=True, found=typed, group=entity["type"], measure="right type, types it has")


def by_entity_and_beside(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Both."""
    yield from by_entity(row, findings)
    yield from beside(row, [entity["text"] for entity in row["entities"]], findings)


def by_type(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """By the row's own type alone, since texts may be of further ones; beside it, whether anything was found."""
    own = [finding for finding in findings if finding.entity_type in FAMILIES[row["type"]]]
    yield Outcome(row["id"], bool(row["label"]), bool(own), row["type"])
    yield Outcome(row["id"], bool(row["label"]), bool(findings), row["type"], measure="of any type")


def by_name(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Each name, found when a finding of its type touches it; and each finding, wrong where no name of its type is."""
    text = row["text"]
    marked = [(one["type"], start, start + len(one["text"])) for one in row["entities"] for start in places(text, one)]
    if not row["label"]:
        yield Outcome(row["id"], label=False, found=bool(findings), group="no entity")
    for one in row["entities"]:
        spans = [(start, start + len(one["text"])) for start in places(text, one)]
        own = [(f.start, f.end) for f in findings if f.entity_type == one["type"]]
        found = any(start < last and first < end for start, end in own for first, last in spans)
        yield Outcome(row["id"], label=True, found=found, group=one["type"])
        if one["type"] in NAMED:
            yield Outcome(row["id"], label=True, found=found, group=one["type"], measure="types it has")
    for f in findings:
        right = any(f.entity_type == kind and f.start < last and first < f.end for kind, first, last in marked)
        yield Outcome(row["id"], label=False, found=not right, group=f.entity_type, measure="findings, wrong ones")


def places(text: str, entity: Row) -> list[int]:
    """Where an entity's words stand."""
    return [match.start() for match in re.finditer(re.escape(entity["text"]), text)]


def by_language(row: Row, findings: Sequence[Finding]) -> Iterator[Outcome]:
    """Found when its language is denied; the second run allows it alone, and finding it is wrong."""
    denied = "denied" in row["settings"]
    yield Outcome(row["id"], label=denied, found=bool(findings), group=row["lang"])


def covered(text: str, part: str, findings: Sequence[Finding]) -> bool:
    """Whether findings cover half of some occurrence of a part."""
    start = text.find(part)
    while start >= 0:
        places = {at for f in findings for at in range(max(f.start, start), min(f.end, start + len(part)))}
        if 2 * len(places) >= len(part):
            return True
        start = text.find(part, start + 1)
    return False


NOT_BY_DEFAULT = frozenset({"PERSON", "STREET_ADDRESS", "AGE", "USERNAME", "URL_USERINFO"})
"""Names need a model, addresses are switched on, the others are no types of `pii`."""

TYPES: Mapping[str, tuple[str, ...]] = {
    "UK_NINO": ("UK_NATIONAL_INSURANCE_NUMBER",),
    "US_ROUTING_NUMBER": ("US_ABA_ROUTING_TRANSIT_NUMBER",),
    "US_DRIVER_LICENSE": ("US_DRIVERS_LICENSE",),
    "UK_DRIVER_LICENSE": ("UK_DRIVING_LICENCE",),
    "CVV": ("CARD_SECURITY_CODE",),
    "COORDINATES": ("GEO_COORDINATES",),
    "LATITUDE": ("GEO_COORDINATES",),
    "LONGITUDE": ("GEO_COORDINATES",),
    "US_NPI": ("US_HEALTHCARE_NPI",),
    "US_DEA": ("US_DEA", "MEDICAL_LICENSE"),
    "PASSPORT_MRZ": ("PASSPORT", "PASSPORT_MRZ"),
    "US_PASSPORT": ("US_PASSPORT", "PASSPORT"),
    "UK_PASSPORT": ("UK_PASSPORT", "PASSPORT"),
    **{f"{code}_PASSPORT": ("PASSPORT",) for code in "CN DE ES FR IN IT JP KR RU".split()},
    "UK_BANK_ACCOUNT": ("UK_BANK_ACCOUNT", "US_BANK_NUMBER", "BANK_ACCOUNT"),
    "IBAN_CODE": ("IBAN_CODE",),
    "DE_SOCIAL_SECURITY": ("DE_SOCIAL_SECURITY_NUMBER", "DE_SOCIAL_SECURITY"),
}
"""Types of the set that `pii` calls otherwise."""


def topics_of(row: Row, **settings: float) -> Mapping[str, Any]:
    """The settings of `topics`: those of the row, with further ones for each."""
    told = {one["name"]: {key: one[key] for key in ("description", "examples")} for one in row["topics"]}
    return {"topics": {name: {**topic, **settings} for name, topic in told.items()}}


NAMED = frozenset({"PERSON", "ORGANIZATION", "LOCATION", "NRP"})
"""What `named_entities` looks for by default."""

FAMILIES: Mapping[str, frozenset[str]] = {
    "AGE": frozenset({"AGE"}),
    "GENDER": frozenset({"GENDER", "SEX"}),
    "ETHNICITY": frozenset({"ETHNICITY"}),
    "RELIGION": frozenset({"RELIGION"}),
    "NATIONALITY": frozenset({"NATIONALITY"}),
    "DISABILITY": frozenset({"DISABILITY"}),
    "SEXUAL_ORIENTATION": frozenset({"SEXUAL_ORIENTATION"}),
    "MARITAL_STATUS": frozenset({"MARITAL_STATUS"}),
    "POLITICAL": frozenset({"POLITICS"}),
    "toxicity": frozenset({"TOXICITY", "SEVERE_TOXICITY"}),
    "severe_toxicity": frozenset({"SEVERE_TOXICITY"}),
    "obscene": frozenset({"OBSCENE", "SEXUALLY_EXPLICIT"}),
    "sexual_explicit": frozenset({"SEXUALLY_EXPLICIT"}),
    "insult": frozenset({"INSULT", "IDENTITY_ATTACK"}),
    "threat": frozenset({"THREAT"}),
    "identity_attack": frozenset({"IDENTITY_ATTACK"}),
}
"""By a row's type, the types of ours that say it or something stronger of its kind."""

ISSUERS: Mapping[str, tuple[str, ...]] = {
    "artifactory_api_key": ("ARTIFACTORY",),
    "age": ("PRIVATEKEY",),
    "amqp_url": ("CONNECTIONSTRING", "URLPASSWORD"),
    "azure_ad_client_secret": ("AZURECLIENT",),
    "basic_auth_header": ("BASICCREDENTIALS", "AUTHORIZATION"),
    "bearer_opaque": ("AUTHORIZATION",),
    "bitcoin_wif": ("CRYPTOPRIVATEKEY",),
    "bitcoin_xprv": ("CRYPTOPRIVATEKEY",),
    "ethereum_private_key": ("CRYPTOPRIVATEKEY",),
    "cli_password": ("GENERIC", "BASICCREDENTIALS"),
    "crates_io": ("CRATESIO",),
    "dingtalk_webhook": ("CHATWEBHOOK",),
    "docker_hub": ("DOCKERHUB",),
    "ec_private_key": ("PRIVATEKEY",),
    "feishu_webhook": ("CHATWEBHOOK",),
    "fly_io": ("FLYIO",),
    "frame_io": ("FRAMEIO",),
    "gcp_service_account": ("PRIVATEKEY", "GCP"),
    "generic_password": ("GENERIC",),
    "google_api_key": ("GCPAPIKEY", "GEMINI", "FIREBASE"),
    "hashicorp_vault": ("VAULT",),
    "jwt_secret": ("GENERIC",),
    "ldap_bind": ("GENERIC", "CONNECTIONSTRING"),
    "mongodb_url": ("CONNECTIONSTRING", "URLPASSWORD"),
    "ms_teams_webhook": ("TEAMSWEBHOOK",),
    "mssql_connection": ("CONNECTIONSTRING",),
    "mysql_url": ("CONNECTIONSTRING", "URLPASSWORD"),
    "new_relic": ("NEWRELIC",),
    "openssh_private_key": ("PRIVATEKEY",),
    "pgp_private_key": ("PRIVATEKEY",),
    "pkcs8_private_key": ("PRIVATEKEY",),
    "postgres_url": ("CONNECTIONSTRING", "URLPASSWORD"),
    "putty_ppk": ("PRIVATEKEY",),
    "redis_url": ("CONNECTIONSTRING", "URLPASSWORD"),
    "rsa_private_key": ("PRIVATEKEY",),
    "terraform_cloud": ("TERRAFORM",),
    "wecom_webhook": ("CHATWEBHOOK",),
    "weights_and_biases": ("WANDB",),
    "wifi_psk": ("WIFI",),
    "wireguard": ("PRIVATEKEY",),
    "zapier_webhook": ("AUTOMATIONWEBHOOK",),
}
"""Beginnings of our types, without underscores, where the issuer's first word is not one."""

SETS: Mapping[str, Setup] = {
    "secrets": Setup("prompt", ("secrets",), judge=by_issuer),
    "pii": Setup("prompt", ("pii",), judge=by_entity),
    "code": Setup("prompt", ("code",)),
    "code_calls": Setup("prompt", ("code",), types=frozenset({"DANGEROUS_CODE"})),
    "competitors": Setup("response", ("competitors",), settings=lambda row: {"names": row["settings"]["competitors"]}),
    "data_exfiltration": Setup("response", ("data_exfiltration", "malicious_url")),
    "demographic": Setup("prompt", ("demographic",)),
    "denial_of_service": Setup("prompt", ("denial_of_service",)),
    "gibberish": Setup("prompt", ("gibberish",)),
    "hidden_text": Setup("post_tool", ("hidden_text", "invisible_text")),
    "keywords": Setup(
        "prompt",
        ("keywords",),
        settings=lambda row: {"terms": row["terms"]},
        variants={"exact terms alone": lambda row: {"terms": row["terms"], "fuzzy": False}},
    ),
    "language": Setup("prompt", ("language",), settings=lambda row: row["settings"], judge=by_language),
    "legal": Setup("prompt", ("legal",)),
    "malicious_url": Setup("response", ("malicious_url",)),
    "named_entities": Setup("prompt", ("named_entities",), judge=by_name),
    "packages": Setup("response", ("packages",)),
    "plan_check": Setup("pre_plan", ("plan_check",)),
    "provenance": Setup("pre_tool", ("provenance",), types=frozenset({"TAINTED_ARGUMENT"})),
    "refusal": Setup("response", ("refusal",)),
    "role_play": Setup("prompt", ("role_play",)),
    "self_harm": Setup("prompt", ("self_harm",)),
    "sentiment": Setup("prompt", ("sentiment",), types=frozenset({"NEGATIVE"})),
    "similarity": Setup(
        "prompt",
        ("similarity",),
        settings=lambda row: {key: row[key] for key in ("examples", "counter_examples")},
    ),
    "system_prompt_leak": Setup("response", ("system_prompt_leak",)),
    "tool_definitions": Setup("ingestion", ()),
    "topics": Setup(
        "prompt",
        ("topics",),
        settings=topics_of,
        variants={"share = .5, as in the set": lambda row: topics_of(row, share=0.5)},
    ),
    "toxicity": Setup("prompt", ("toxicity",), pack="default"),
}
SETS = {
    **SETS,
    "secrets_second": replace(SETS["secrets"], judge=by_value),
    "pii_second": replace(SETS["pii"], judge=by_entity_and_beside),
}
SETS |= {
    name: replace(SETS[name.removesuffix("_fourth")], judge=by_type)
    for name in ("demographic_fourth", "toxicity_fourth")
}
LATER = ("_second", "_third", "_fourth")
"""Ends of the names of sets of other hands, written after the mistakes of the ones before had been read and mended."""
SETS = {
    **SETS,
    **{
        path.stem: SETS.get(path.stem, SETS[path.stem.removesuffix(end)])
        for end in LATER
        for path in sorted(BLIND.glob(f"detectors/*{end}.jsonl"))
    },
}


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description="quality on the blind sets")
    parser.add_argument("sets", nargs="*", metavar="set", help=f"of {', '.join(SETS)}; all by default")
    parser.add_argument("--groups", action="store_true", help="by group, too")
    parser.add_argument("--wrong", action="store_true", help="ids of rows judged wrongly, by group")
    options = parser.parse_args()
    if unknown := sorted(set(options.sets) - SETS.keys()):
        parser.error(f"unknown set {unknown[0]!r}; valid: {', '.join(SETS)}")
    for name in options.sets or SETS:
        for text in report(name, outcomes(name), groups=options.groups, wrong=options.wrong):
            sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return 0


def rows(name: str) -> list[Row]:
    """The rows of a set; of `language`, each row twice, with its language denied and with it alone allowed."""
    path = BLIND / f"{name}.jsonl"
    path = path if path.exists() else BLIND / "detectors" / f"{name}.jsonl"
    read: list[Row] = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if not name.startswith("language"):
        return read
    denied = [{**row, "settings": {"allowed": (), "denied": (row["lang"],)}} for row in read]
    return denied + [{**row, "settings": {"allowed": (row["lang"],)}} for row in read]


def outcomes(name: str) -> list[Outcome]:
    """What became of every row."""
    if name.startswith("tool_definitions"):
        return list(definitions(rows(name)))
    setup = SETS[name]
    found = measured(name, setup)
    for measure, settings in setup.variants.items():
        found += [replace(one, measure=measure) for one in measured(name, replace(setup, settings=settings))]
    return found


def measured(name: str, setup: Setup) -> list[Outcome]:
    """The same, of one way of running it."""
    judge = setup.judge or by_text
    found: list[Outcome] = []
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows(name):
        groups[json.dumps(setup.settings(row))].append(row)
    for settings, own in groups.items():
        recipe = recipe_of(setup, json.loads(settings))
        results = Engine(recipes=recipe).check_batch(
            [row.get("content", row.get("text")) for row in own],
            stage=setup.stage,
            recipe=recipe.name,
            context=[context_of(row) for row in own],
        )
        for row, result in zip(own, results, strict=True):
            if result.failures:
                raise SystemExit(f"{name}: {result.failures[0].detector} failed: {result.failures[0].failure}")
            kept = [f for f in result.findings if not setup.types or f.entity_type in setup.types]
            found.extend(judge(row, kept))
    return found


def context_of(row: Row) -> Context:
    """What a row says of the conversation; in `secrets`, ``context`` is the kind of text."""
    said = row.get("context", "")
    return Context(**said) if isinstance(said, Mapping) else Context(system=row.get("settings", {}).get("system", ""))


def definitions(read: Sequence[Row]) -> Iterator[Outcome]:
    """Whether any definition of a row would be refused."""
    engine = Engine()
    for measure, overrides in (("", {"prompt_injection": {"disabled": True}}), ("with the injection model", None)):
        for row in read:
            pins = ToolPins()
            if pinned := row.get("pinned"):
                check_tools(pinned, engine=engine, pins=pins)
            reports = check_tools(
                row["tools"], engine=engine, pins=pins, reserved=row.get("reserved", ()), overrides=overrides
            )
            found = any(report.blocked for report in reports)
            yield Outcome(row["id"], bool(row["label"]), found, row["category"], measure)


def recipe_of(setup: Setup, settings: Mapping[str, Any]) -> Recipe:
    """The built-in rules of these detectors, reporting; a rule of default settings where there is none."""
    builtin = {
        rule.detector: rule
        for recipe in builtin_recipes()
        if (recipe.name, recipe.stage) == (setup.pack or setup.stage, setup.stage)
        for rule in recipe.rules
    }
    report = {"action": "report", "actions": {}}
    rules = [builtin.get(name, Rule(detector=name)).model_copy(update=report) for name in setup.rules]
    rules[0] = rules[0].model_copy(update={"settings": {**rules[0].settings, **settings}})
    return Recipe(name="blind", stage=Stage(setup.stage), rules=rules)


@cache
def builtin_recipes() -> tuple[Recipe, ...]:
    """Every built-in recipe."""
    return tuple(Engine().recipes())


def report(name: str, found: Sequence[Outcome], *, groups: bool, wrong: bool) -> Iterator[str]:
    """One line for each measure, then the groups and the wrong rows."""
    for measure in dict.fromkeys(outcome.measure for outcome in found):
        own = [outcome for outcome in found if outcome.measure == measure]
        yield line(name if not measure else f"  {measure}", own)
        if groups:
            for group in sorted({outcome.group for outcome in own}):
                yield line(f"    {group}", [outcome for outcome in own if outcome.group == group])
        if wrong:
            judged = (one for one in own if one.label != one.found)
            yield from (f"    {'missed' if one.label else 'false '} {one.row} {one.group}" for one in judged)


def line(name: str, found: Sequence[Outcome]) -> str:
    """Name, recall, false positives."""
    positive = [outcome.found for outcome in found if outcome.label]
    negative = [outcome.found for outcome in found if not outcome.label]
    return f"{name:32} recall {share(positive):30} false alarms {share(negative)}"


def share(hits: Sequence[bool]) -> str:
    """``.95 (19 of 20, .76-.99)``."""
    if not hits:
        return "-"
    n, p, z = len(hits), sum(hits) / len(hits), 1.96
    middle, spread = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    low, high = (middle - spread) / (1 + z * z / n), (middle + spread) / (1 + z * z / n)
    return f"{p:.3f} ({sum(hits)} of {n}, {low:.2f}-{high:.2f})"


if __name__ == "__main__":
    sys.exit(main())
