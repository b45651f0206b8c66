"""What the style sheets of a page say about an element: selectors of one tag, class or id, or a tag with one of them.

Source: CSS Selectors 4 (specificity), CSS Syntax 3.
Limits: combinators, attribute selectors, pseudo-classes and rules inside ``@media`` and the like are left out;
``!important`` counts for nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from guardrails_plugin.detectors.hidden_css import declarations

__all__ = ["Sheet"]

_COMMENT = re.compile(r"/\*[^*]*\*/")
_RULE = re.compile(r"([^{}@;]{1,400})\{([^{}]{0,2000})\}")
_AT_BLOCK = re.compile(r"@[a-z-]+[^{};]{0,400}\{(?:[^{}]{0,2000}\{[^{}]{0,2000}\})*[^{}]{0,2000}\}", re.IGNORECASE)
_SELECTOR = re.compile(r"\s*((?:[A-Za-z][A-Za-z0-9]{0,20})?(?:[.#][A-Za-z_][\w-]{0,100})?)\s*")


@dataclass(slots=True)
class Sheet:
    """Declarations by selector, of all sheets read so far."""

    rules: dict[str, dict[str, str]] = field(default_factory=dict)

    def read(self, sheet: str) -> None:
        """Add the rules of a ``style`` element; later ones win.

        >>> sheet = Sheet()
        >>> sheet.read(".a, p.b { color: red } @media print { .a { color: blue } } .a:hover { color: green }")
        >>> sheet.style("p", ["a", "b"], ""), sheet.style("i", ["b"], "")
        ({'color': 'red'}, {})
        """
        for selectors, body in _RULE.findall(_AT_BLOCK.sub(" ", _COMMENT.sub("", sheet))):
            style = declarations(body)
            for item in selectors.split(","):
                if (match := _SELECTOR.fullmatch(item)) and match[1]:
                    self.rules.setdefault(match[1], {}).update(style)

    def style(self, tag: str, classes: Iterable[str], identity: str) -> Mapping[str, str]:
        """What the rules for an element declare, the most specific last."""
        if not self.rules:
            return {}
        classed = [f".{name}" for name in classes]
        own = [f"#{identity}"] if identity else []
        selectors = [tag, *classed, *(tag + name for name in classed), *own, *(tag + name for name in own)]
        return {name: value for selector in selectors for name, value in self.rules.get(selector, {}).items()}
