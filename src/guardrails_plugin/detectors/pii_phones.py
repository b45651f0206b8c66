"""Phone numbers against the numbering plans: number blocks that exist, not only lengths that fit.

How: `phonenumbers` (a port of Google's libphonenumber, with its tables inside: nothing is fetched) parses the candidate
and says whether a block of its country's plan holds it. The country is that of the prefix after ``+`` or ``00``, or the
``region`` (ISO 3166-1) of the row that proposed it; rows whose shape tells no country have none and are not verified.

Limits: the tables are as old as the installed package. Numbers set aside for fiction are no numbers of the plan (UK) or
ordinary ones (US); a block in use says nothing about a single number.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from guardrails_plugin.errors import ConfigError

__all__ = ["is_phone", "require_phones"]


def require_phones() -> None:
    """Loads the extra.

    Raises:
        ConfigError: it is not installed.
    """
    _library()


def is_phone(text: str, region: str) -> bool:
    """True when the candidate is a number of its country's plan.

    Args:
        text: the candidate as written, with separators and extension; ``00`` counts as ``+``.
        region: the country when the text does not begin with a country code; empty when it does.
    """
    library = _library()
    written = text.replace("(0)", "")
    if not region and written.startswith("00"):
        written = f"+{written[2:]}"
    try:
        return bool(library.is_valid_number(library.parse(written, region or None)))
    except library.NumberParseException:
        return False


@cache
def _library() -> Any:
    # Deferred: an extra, and its tables are large.
    try:
        import phonenumbers
    except ImportError:
        message = 'pii.verify_phones: needs the extra "phones": pip install "guardrails-plugin[phones]"'
        raise ConfigError(message) from None
    return phonenumbers
