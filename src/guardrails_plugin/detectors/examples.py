"""Examples in pattern tables are templates; this expands them, the same way every time.

``{alnum:36}`` becomes 36 letters and digits. Classes: ``digit``, ``hex``, ``HEX``, ``lower``, ``upper``, ``alpha``,
``alnum``, ``ALNUM`` (upper case and digits), ``b64`` (base64), ``b64url``. Everything else stands as it is.
"""

from __future__ import annotations

import hashlib
import re
import string

__all__ = ["CLASSES", "expand"]

CLASSES = {
    "digit": string.digits,
    "hex": "0123456789abcdef",
    "HEX": "0123456789ABCDEF",
    "lower": string.ascii_lowercase,
    "upper": string.ascii_uppercase,
    "alpha": string.ascii_letters,
    "alnum": string.ascii_letters + string.digits,
    "ALNUM": string.ascii_uppercase + string.digits,
    "lownum": string.ascii_lowercase + string.digits,
    "b64": string.ascii_letters + string.digits + "+/",
    "b64url": string.ascii_letters + string.digits + "-_",
}

_FIELD = re.compile(r"\{(" + "|".join(CLASSES) + r"):(\d+)\}")


def expand(template: str) -> str:
    """The example behind a template, deterministic.

    >>> expand("id-{digit:4}")
    'id-3988'
    """
    return _FIELD.sub(lambda field: _fill(CLASSES[field[1]], int(field[2]), f"{template}{field.start()}"), template)


def _fill(alphabet: str, length: int, seed: str) -> str:
    stream = hashlib.shake_256(seed.encode()).digest(length + 8)
    text = "".join(alphabet[byte % len(alphabet)] for byte in stream[:length])
    # A boundary must not depend on luck: both ends are letters or digits.
    return text if text[:1].isalnum() and text[-1:].isalnum() else _fill(alphabet, length, seed + "'")
