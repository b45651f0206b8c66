"""The scanners that come with the service, in packages: this library's detectors under CalypsoAI's names."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import KW_ONLY, dataclass, field
from functools import cache
from typing import Any

__all__ = ["BUILT", "BuiltIn", "Package", "built_in", "built_ins", "package", "package_of", "packages", "stable_id"]

BUILT = "2026-01-01T00:00:00Z"
"""When this list was made: the date of all its versions."""

_NAMESPACE = uuid.UUID("6a5f0e0c-9d5b-4f0e-8a37-6f2b0f5d9c11")


def stable_id(*parts: str) -> str:
    """The same id for the same thing in every installation: UUID version 5 (RFC 9562, section 5.5)."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(parts)))


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """A scanner over one detector.

    Attributes:
        types: entity types it looks for; all of the detector's when empty.
        threshold: see `recipes.Rule`.
        on: whether it runs as soon as its package is added.
        audits: it never blocks (names, sentiment and the like are no reason to refuse a prompt).
        covers: its findings are places in the text, which can be redacted.
        trusts_system: the application's own system prompt is not judged.
    """

    name: str
    description: str
    detector: str
    _: KW_ONLY
    types: tuple[str, ...] = ()
    direction: str = "both"
    threshold: float | str = 0.5
    settings: Mapping[str, Any] = field(default_factory=dict)
    on: bool = True
    audits: bool = False
    covers: bool = False
    trusts_system: bool = False

    @property
    def id(self) -> str:
        """Its id."""
        return stable_id("scanner", self.name)


@dataclass(frozen=True, slots=True)
class Package:
    """Scanners that are added and removed together."""

    name: str
    description: str
    scanners: tuple[BuiltIn, ...]
    default: bool = False
    """Whether every project has it from the start."""

    @property
    def id(self) -> str:
        """Its id."""
        return stable_id("package", self.name)


def _pii(name: str, *types: str, on: bool = True) -> BuiltIn:
    return BuiltIn(name, f"{name} in prompts and answers.", "pii", types=types, on=on, covers=True)


def _audit(name: str, detector: str, *types: str, direction: str = "request") -> BuiltIn:
    return BuiltIn(name, f"Records {name.lower()}.", detector, types=types, direction=direction, audits=True, on=False)


_SOCIAL_SECURITY = (
    "AT_SVNR CA_SIN CH_AHV DE_SOCIAL_SECURITY FR_NIR GR_AMKA IE_PPSN RU_SNILS UK_NATIONAL_INSURANCE_NUMBER"
).split()
_BANK_ACCOUNTS = (
    "BANK_ACCOUNT BANK_CODE IBAN_CODE SWIFT_CODE UK_BANK_ACCOUNT UK_SORT_CODE US_ABA_ROUTING_TRANSIT_NUMBER "
    "US_BANK_NUMBER"
).split()
_IDENTITY = (
    "BE_NATIONAL_NUMBER BG_EGN CEDULA CL_RUT CN_RESIDENT_ID CZ_RODNE_CISLO DE_ID_CARD DK_CPR EE_ISIKUKOOD ES_NIE "
    "ES_NIF FI_HETU HK_ID HR_OIB IL_ID IN_AADHAAR JP_MY_NUMBER KR_RRN MX_CURP NL_BSN NO_FODSELSNUMMER PL_ID_CARD "
    "PL_PESEL RO_CNP SE_PERSONNUMMER SG_NRIC TH_NATIONAL_ID TR_TCKN TW_NATIONAL_ID ZA_ID"
).split()
_TAX = (
    "AR_CUIT AU_ABN AU_ACN AU_TFN BR_CNPJ BR_CPF DE_TAX_ID DE_TAX_NUMBER IN_PAN IT_FISCAL_CODE NZ_IRD PL_NIP PT_NIF "
    "RU_INN UA_TAX_ID US_EIN VAT_ID"
).split()
_HEALTH = (
    "AU_MEDICARE HEALTH_INSURANCE_ID MEDICAL_LICENSE MEDICAL_RECORD_NUMBER UK_NHS US_HEALTHCARE_NPI US_MBI"
).split()

_PACKAGES = (
    Package(
        "Prompt injection package",
        "Attempts to give a model other instructions than its operator's.",
        (
            BuiltIn(
                "Prompt injection and jailbreak",
                "Direct and indirect injection, jailbreaks and adversarial prompts: rules and a trained classifier.",
                "prompt_injection",
                direction="request",
                threshold="balanced",
                trusts_system=True,
            ),
            BuiltIn(
                "Hidden messages",
                "Instructions in characters that nobody sees.",
                "invisible_text",
                types=("HIDDEN_MESSAGE",),
                direction="request",
                trusts_system=True,
            ),
            BuiltIn(
                "Role play",
                "Personas that are asked for to get round the rules.",
                "role_play",
                direction="request",
                on=False,
                trusts_system=True,
            ),
        ),
        default=True,
    ),
    Package(
        "PII package",
        "Personal data.",
        (
            _pii("Credit card numbers", "CREDIT_CARD", "CARD_SECURITY_CODE"),
            _pii("Birth dates", "DATE_OF_BIRTH"),
            _pii("Driver license numbers", "DRIVERS_LICENSE", "US_DRIVERS_LICENSE", "UK_DRIVING_LICENCE"),
            _pii("Email addresses", "EMAIL_ADDRESS"),
            _pii("IP addresses", "IP_ADDRESS"),
            _pii("Passport numbers", "PASSPORT", "US_PASSPORT", "UK_PASSPORT"),
            _pii("Telephone numbers", "PHONE_NUMBER"),
            _pii("Social Security numbers", "US_SSN", "US_ITIN", *_SOCIAL_SECURITY),
            _pii("Bank accounts", *_BANK_ACCOUNTS),
            _pii("Postal codes", "US_ZIP", "UK_POSTCODE", "CA_POSTAL_CODE", on=False),
            _pii("National identity numbers", *_IDENTITY, on=False),
            _pii("Tax numbers", *_TAX, on=False),
            _pii("Health numbers", *_HEALTH, on=False),
            _pii("Devices and vehicles", "IMEI", "LICENSE_PLATE", "MAC_ADDRESS", "VIN", on=False),
            _pii("PINs and verification codes", "PIN", "VERIFICATION_CODE", on=False),
            _pii("Coordinates", "GEO_COORDINATES", on=False),
            _pii("Crypto wallets", "CRYPTO", on=False),
        ),
        default=True,
    ),
    Package(
        "Secret detection package",
        "Credentials of known issuers, private keys, passwords in context.",
        (BuiltIn("Secrets", "API keys, tokens, private keys, connection strings.", "secrets", covers=True),),
        default=True,
    ),
    Package(
        "Source code package",
        "Source code in prompts and answers.",
        (
            BuiltIn("Source code", "Code in any of the known languages.", "code", on=False),
            BuiltIn(
                "Dangerous code",
                "Calls that run commands, load code from elsewhere or destroy data.",
                "code",
                types=("DANGEROUS_CODE",),
                on=False,
            ),
        ),
    ),
    Package(
        "Content safety package",
        "Content that hurts.",
        (
            BuiltIn("Toxicity", "Hate, harassment, threats, obscenity.", "toxicity", on=False),
            BuiltIn("Self-harm", "Talk of hurting oneself, and instructions for it.", "self_harm"),
        ),
    ),
    Package(
        "Data exfiltration package",
        "Data on its way out, and links that carry it.",
        (
            BuiltIn("Malicious links", "Links to known bad places, and links with data in them.", "malicious_url"),
            BuiltIn("Data exfiltration", "Commands and instructions that send data elsewhere.", "data_exfiltration"),
        ),
    ),
    Package(
        "Audit package",
        "Recorded, never blocked.",
        (
            *(
                _audit(f"Demographic: {name.lower().replace('_', ' ')}", "demographic", name)
                for name in (
                    "AGE",
                    "CULTURE",
                    "DISABILITY",
                    "ETHNICITY",
                    "GENDER",
                    "NATIONALITY",
                    "POLITICS",
                    "RELIGION",
                    "SEX",
                    "SEXUAL_ORIENTATION",
                )
            ),
            _audit("Persons", "named_entities", "PERSON"),
            _audit("Organizations", "named_entities", "ORGANIZATION"),
            _audit("Locations", "named_entities", "LOCATION"),
            _audit("Sentiment", "sentiment", "NEGATIVE", "POSITIVE"),
            _audit("Refusals", "refusal", direction="response"),
        ),
    ),
)


def packages() -> tuple[Package, ...]:
    """The packages."""
    return _PACKAGES


def package(package_id: str) -> Package | None:
    """One package."""
    return next((made for made in packages() if made.id == package_id), None)


@cache
def built_ins() -> Mapping[str, BuiltIn]:
    """Every built-in scanner by id."""
    return {scanner.id: scanner for made in packages() for scanner in made.scanners}


def built_in(scanner_id: str) -> BuiltIn | None:
    """One built-in scanner."""
    return built_ins().get(scanner_id)


@cache
def package_of(scanner_id: str) -> Package | None:
    """The package a built-in scanner belongs to."""
    return next((made for made in packages() if any(one.id == scanner_id for one in made.scanners)), None)
