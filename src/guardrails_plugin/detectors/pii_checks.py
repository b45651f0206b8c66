"""Checks of personal data that are no check digits: phone numbers by country code and length, addresses, bank codes.

Each takes the value as found and says whether it can be one. None raises.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping

from guardrails_plugin.checksums import IBAN_LENGTHS, compact

__all__ = ["CHECKS"]

_PLANS = {
    code: lengths
    for lengths, codes in {
        (7, 9): "46", (7, 10): "95", (7, 11): "49", (7, 12): "43", (8, 8): "45 47 53 65", (8, 9): "32 36 51 66",
        (8, 10): "20 60 63 64 82 98", (8, 11): "39", (8, 12): "62", (9, 9): "27 31 33 34 40 41 48 56 61 93 94",
        (9, 10): "44 81 84 92", (10, 10): "1 7 30 52 57 58 90 91", (10, 11): "54 55 86",
    }.items()
    for code in codes.split()
}  # fmt: skip
"""Digits of a national number by country code (ITU-T E.164, national numbering plans)."""


def _international(text: str) -> bool:
    """Country code and length fit; other three-digit codes take six to twelve digits (ITU-T E.164)."""
    digits = re.sub(r"\D", "", re.split("[xe]", text, maxsplit=1)[0].replace("(0)", "")).removeprefix("00")
    for size in (1, 2):
        if digits[:size] in _PLANS:
            low, high = _PLANS[digits[:size]]
            trunk = digits[size : size + 1] == "0" and digits[:size] != "39"
            return low <= len(digits) - size <= high and len(set(digits[size:])) > 1 and not trunk
    return digits[:1] in tuple("2345689") and 9 <= len(digits) <= 15


def _ip(text: str) -> bool:
    """An address of some machine: no loopback, netmask, reserved block; not `a::b` of some program, nor eight bytes."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    if address.version == 4:
        return not (address.is_loopback or text.startswith(("0.", "255.")))
    groups = [group for group in text.split(":") if group]
    telling = len(groups) > 2 or any(len(group) == 4 and not group.isalpha() for group in groups)
    bytewise = len(groups) == 8 and all(len(group) == 2 for group in groups)
    colour = address.is_reserved and len(groups[0]) < 3 and groups[0] != "64"  # also times: nobody's network
    return telling and not bytewise and not colour and any(map(str.isdigit, text))


_COUNTRIES = frozenset(IBAN_LENGTHS) | frozenset(
    "AF AG AM AO AR AU BB BD BF BJ BM BN BO BS BW CA CI CL CM CN CO DZ EC ET GH GM HK ID IN IR JM JP KE KH KR KY LA LK "
    "MA MM MO MX MY MZ NA NG NP NZ PA PE PH PY RW SG SN SY TH TT TW TZ UG US UY UZ VE VN ZA ZM ZW".split()
)


def _bic(text: str) -> bool:
    """Letters five and six name a country (ISO 9362, ISO 3166-1)."""
    return text[4:6].upper() in _COUNTRIES


def _varied(text: str) -> bool:
    """Not one digit repeated."""
    return len(set(compact(text))) > 1


CHECKS: Mapping[str, Callable[[str], bool]] = {
    "": bool, "bic": _bic, "international": _international, "ip": _ip, "varied": _varied,
}  # fmt: skip
"""Checks that are no check digits; every other validator is the function of this name in `checksums`."""
