"""Make a link inert and keep it readable."""

from __future__ import annotations

import re
from typing import ClassVar

from guardrails_plugin.protocols import Call
from guardrails_plugin.types import Finding, Verdict

__all__ = ["Defang"]

_PARTS = re.compile(r"[\[({][.:@][\])}]|(?P<web>h(?:tt|xx)ps?):|[.\u3002\uff0e\uff61]|[:@\uff1a\uff20]", re.IGNORECASE)
"""What is defanged already, the schemes http and https, dots (UTS #46 reads three others as dots too), colon and at."""

_INERT = {":": "[:]", "\uff1a": "[:]", "@": "[@]", "\uff20": "[@]"}

_HTTP = str.maketrans("tT", "xX")


class Defang:
    """``https://evil.com`` becomes ``hxxps://evil[.]com``; ``javascript:`` becomes ``javascript[:]``.

    The notation of draft-grimminck-safe-ioc-sharing. Doing it twice changes nothing more.
    """

    name: ClassVar[str] = "defang"
    verdict: ClassVar[Verdict] = Verdict.TRANSFORM

    def apply(self, value: str, finding: Finding, call: Call) -> str:
        """The value with every dot, at and scheme made inert."""
        del finding, call
        return _PARTS.sub(_inert, value)


def _inert(part: re.Match[str]) -> str:
    text = part.group()
    if part["web"]:
        return text[0] + text[1:].translate(_HTTP)
    return text if len(text) > 1 else _INERT.get(text, "[.]")
