r"""Names of files and addresses of records, in which a label stands beside its value: ``ssn_536-22-8714.pdf``.

An underscore is a letter to a pattern's ``\b``, a slash before a number and an ending behind it say that it is no
identity number. Where the word before is a label of one, they are read as what they are there: spaces.
"""

from __future__ import annotations

import re

__all__ = ["labelled"]

_LABEL = (
    r"(?:ssn|itin|sin|mrn|medical_?record|iban|passport|reisepass|passeport|pasaporte|pasaport|nino|dni|nie|nif|cpf|curp"
    r"|pesel|bsn|nhs|steuer-?id|steuer_?id|idnr|tax-?id|dob|birth-?date|birthday|geburtsdatum|card|credit-?card|phone|tel"
    r"|mobile|handy|aadhaar|pan|nir|svnr|ahv|medicare|mbi|npi|vin|imei|personnummer|codice-?fiscale|licen[cs]e)"
)
_BEFORE = re.compile(rf"(?:^|[^A-Za-z]){_LABEL}\Z", re.IGNORECASE)
_LONGEST = 16
_VALUE = re.compile(
    r"[_/](?P<value>[A-Za-z]{0,4}-?\d(?:[0-9A-Za-z-]|\.(?=\d)){4,38})(?P<end>[_/]|\.(?=[A-Za-z])|(?![\w.]))"
)
"""The joint, the value, and where it ends: at the next part of the name, or with it."""


def labelled(text: str) -> str:
    """The text with such joints and endings blanked; of the same length.

    >>> labelled("scans/ssn_536-22-8714.pdf, build_536228714.log")
    'scans/ssn 536-22-8714 pdf, build_536228714.log'
    """
    return _VALUE.sub(_spaced, text) if "_" in text or "/" in text else text


def _spaced(found: re.Match[str]) -> str:
    before = found.string[max(0, found.start() - _LONGEST) : found.start()]
    if not _BEFORE.search(before):
        return found[0]
    return f" {found['value']}{' ' * len(found['end'])}"
