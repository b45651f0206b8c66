"""HTML taken apart the way browsers do, errors included, to say which stretches a reader would not see.

Style sheets are read first, wherever they stand; then one pass from left to right: tags, comments and text. A stack of
open elements carries what is inherited (size, colour, background). End tags without a beginning are ignored, open
elements end with their parent, and nothing is read again, so the time is linear in the text whatever is wrong with it.

What the page can show again (a handle for scripts and styles, a prepared transition, a dialog, a fallback) is a state
of the page: its hiding scores under .5, so that the words have to decide.

Source: WHATWG HTML, sections 13.1 (syntax), 13.2.5 (tokenization) and 15.3.1 (hidden elements); SVG 2, section 6.6
(presentation attributes).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from html import unescape
from typing import Literal, NamedTuple

from guardrails_plugin.detectors.hidden_css import Colour, Hiding, declarations, hides, ink, moves, paper, tiny
from guardrails_plugin.detectors.hidden_sheet import Sheet

__all__ = ["Region", "hidden_regions"]

Kind = Literal["element", "text", "comment", "attribute", "collapsed"]


class Region(NamedTuple):
    """A stretch that is not shown."""

    kind: Kind
    start: int
    end: int
    hiding: Hiding


class _Attribute(NamedTuple):
    value: str
    start: int
    end: int


class _Tag(NamedTuple):
    name: str
    closing: bool
    attributes: dict[str, _Attribute]
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Frame:
    """An open element and what its text inherits."""

    name: str
    start: int = 0
    content: int = 0
    hiding: Hiding | None = None
    collapsed: bool = False
    tiny: bool = False
    invisible: Hiding | None = None
    ink: Colour | Hiding | None = None
    paper: Colour | None = None
    unsure: bool = False
    """Whether scripts and style sheets that are not seen here may change the colours."""

    @property
    def soft(self) -> Hiding | None:
        """How this element's own text is hidden, while an inner element may show itself."""
        if self.invisible:
            return self.invisible
        if self.tiny:
            return _TINY
        if isinstance(self.ink, Hiding) or self.ink is None:
            return self.ink
        if not _near(self.ink, self.paper or (255, 255, 255)):
            return None
        hiding = _SAME if self.paper else _WHITE
        return hiding.undone() if self.unsure else hiding


_TOKEN = re.compile(r"<(?=[A-Za-z/!?])")
_NAME = re.compile(r"</?([A-Za-z][A-Za-z0-9:-]{0,40})")
_ATTRIBUTE = re.compile(r"[\s/]*([^\s=>/\"'\\]{1,80})(?:\s{0,8}=\s{0,8}(\\?[\"'])?)?")
_UNQUOTED = re.compile(r"[^\s>]*")
_LONGEST_TAG = 16_384
"""Characters after which a tag without an end is given up; browsers read on, pages do not have such tags."""

_VOID = frozenset("area base br col embed hr img input link meta param source track wbr".split())
_RAW = frozenset("script style title xmp iframe noembed".split())
_BLOCKS = frozenset(
    "address article aside blockquote details div dl fieldset figure footer form h1 h2 h3 h4 h5 h6 header hr main nav"
    " ol p pre section table ul".split()
)
_INLINE = frozenset(
    "a abbr b body button center em font html i label li mark q s small span strong sub sup td th tr u".split()
)
_ENDED_BY = {
    "p": _BLOCKS,
    "li": frozenset({"li"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "option": frozenset({"option", "optgroup"}),
    "tr": frozenset({"tr", "tbody", "tfoot"}),
    "td": frozenset({"td", "th", "tr", "tbody", "tfoot"}),
    "th": frozenset({"td", "th", "tr", "tbody", "tfoot"}),
}
"""Open elements that a start tag ends, when they are the innermost."""

_NOT_TEXT = frozenset("class id style href src srcset d points viewbox action xmlns".split())
"""Attributes whose value is no text; event handlers are none either."""

_HANDLES = re.compile(r"class$|id$|role$|popover$|aria-|data-|on[a-z]|x-|v-|ng-|[@:]")
"""Attributes by which scripts and styles take hold of an element."""

_STATES = {
    "template": Hiding("template", 0.4),
    **dict.fromkeys(("noscript", "canvas", "audio", "video", "object"), Hiding("fallback", 0.4)),
    **dict.fromkeys(("desc", "metadata"), Hiding("description", 0.3)),
    "dialog": Hiding("dialog", 0.4),
}
"""Elements that are not shown by themselves."""

_PRESENTATION = {"bgcolor": "background-color", "fill": "color"} | {
    name: name for name in ("color", "opacity", "display", "visibility", "font-size")
}
"""Attributes that stand for a property."""

_STYLE = re.compile(r"<style\b[^<>]{0,500}>([^<]*)", re.IGNORECASE)
_INVISIBLE = Hiding("visibility", 0.85)
_TINY = Hiding("font-size", 0.85)
_SAME = Hiding("same colour", 0.85)
_WHITE = Hiding("white on white", 0.6)
_HIDDEN = Hiding("hidden", 0.9)
_DETAILS = Hiding("collapsed", 0.3)
_COMMENT = Hiding("comment", 0.3)
_ATTRIBUTE_TEXT = Hiding("attribute", 0.0)

_NEAR = 24
"""Difference per colour channel that the eye does not resolve in text; WCAG asks for a contrast ratio of 3 or more,
24 of 255 gives 1.2 at most."""


def hidden_regions(text: str, shown: Callable[[int], int]) -> Iterator[Region]:
    """Stretches of HTML that a reader does not see.

    Args:
        text: HTML, or any text with HTML in it.
        shown: for a place where markup stands as text (a code block): where that ends; else the place itself.

    Yields:
        Regions as they end; a region inside a hidden element is not told apart from it.
    """
    yield from _Walk(text, shown).regions()


@dataclass(slots=True)
class _Walk:
    text: str
    shown: Callable[[int], int]
    stack: list[_Frame] = field(default_factory=lambda: [_Frame("")])
    open_names: Counter[str] = field(default_factory=Counter)
    sheet: Sheet = field(default_factory=Sheet)
    roots: dict[str, int] = field(default_factory=dict)
    """Height of the stack at the outermost hidden, and at the outermost collapsed element."""

    def regions(self) -> Iterator[Region]:
        for sheet in _STYLE.finditer(self.text):
            if self.shown(sheet.start()) == sheet.start():
                self.sheet.read(sheet[1])
        self.stack[0] = replace(self.stack[0], paper=_solid(paper(self.sheet.style("body", (), ""))))
        at = 0
        while token := _TOKEN.search(self.text, at):
            start = token.start()
            if (past := self.shown(start)) > start:
                at = past
                continue
            yield from self._words(at, start)
            if self.text.startswith("<!--", start):
                at = _after(self.text, "-->", start + 4)
                if "hidden" not in self.roots:
                    yield Region("comment", start, at, _COMMENT)
            elif self.text[start + 1] in "!?":
                at = _after(self.text, ">", start)
            else:
                tag = self._tag(start)
                at = tag.end
                yield from self._closed(tag) if tag.closing else self._opened(tag)
                if tag.name in _RAW and not tag.closing:
                    at = self._raw_end(tag)
                    if _is_data(tag):
                        yield Region("attribute", tag.end, at, _ATTRIBUTE_TEXT)
        yield from self._words(at, len(self.text))
        yield from self._shrunk(1, len(self.text))

    def _words(self, start: int, end: int) -> Iterator[Region]:
        if start < end and "hidden" not in self.roots and (hiding := self.stack[-1].soft):
            yield Region("text", start, end, hiding)

    def _opened(self, tag: _Tag) -> Iterator[Region]:
        while len(self.stack) > 1 and tag.name in _ENDED_BY.get(self.stack[-1].name, ()):
            yield from self._shrunk(len(self.stack) - 1, tag.start)
        if "hidden" not in self.roots:
            yield from _told(tag)
        if tag.name in _VOID or tag.name in _RAW or self._is_xml(tag):
            return
        frame = self._frame(tag)
        self.stack.append(frame)
        self.open_names[tag.name] += 1
        if frame.hiding:
            self.roots.setdefault("hidden", len(self.stack))
        elif frame.collapsed:
            self.roots.setdefault("collapsed", len(self.stack))

    def _is_xml(self, tag: _Tag) -> bool:
        """True for ``<name/>`` where HTML has no such element: XML closes it, HTML would leave it open."""
        return tag.name not in _BLOCKS and tag.name not in _INLINE and self.text.startswith("/>", tag.end - 2)

    def _frame(self, tag: _Tag) -> _Frame:
        outer = self.stack[-1]
        own = {name: attribute.value for name, attribute in tag.attributes.items()}
        if not own and tag.name not in _STATES and tag.name != "details" and tag.name not in self.sheet.rules:
            return replace(outer, name=tag.name, start=tag.start, content=tag.end, hiding=None, collapsed=False)
        style = self._style(tag.name, own)
        small, seen, below = tiny(style), style.get("visibility"), paper(style)
        handled = any(map(_HANDLES.match, own)) or moves(style)
        hiding = _hiding(tag.name, own, style)
        invisible = (_INVISIBLE.undone() if handled else _INVISIBLE) if seen in ("hidden", "collapse") else None
        return _Frame(
            tag.name,
            tag.start,
            tag.end,
            hiding=hiding.undone() if hiding and handled else hiding,
            collapsed=tag.name == "details" and "open" not in own,
            tiny=outer.tiny if small is None else small,
            invisible=outer.invisible if seen is None else invisible,
            ink=ink(style) or outer.ink,
            paper=outer.paper if below is None else _solid(below),
            unsure=handled or isinstance(below, Hiding) or (outer.unsure and below is None),
        )

    def _style(self, name: str, own: Mapping[str, str]) -> Mapping[str, str]:
        """What attributes, style sheets and the element's own style declare, the strongest last."""
        style = {_PRESENTATION[key]: value.strip().lower() for key, value in own.items() if key in _PRESENTATION}
        if "background" in own:
            style["background"] = "url()"
        if name == "svg":  # what stands in a drawing has shapes behind it, and a drawing cuts off what leaves it
            style |= {"background": "url()", "overflow": "hidden"}
            style |= {side: own[side] for side in ("width", "height") if side in own}
        style |= self.sheet.style(name, own.get("class", "").split(), own.get("id", ""))
        return style | declarations(own["style"]) if "style" in own else style

    def _closed(self, tag: _Tag) -> Iterator[Region]:
        if not self.open_names[tag.name]:
            return
        height = len(self.stack)
        while self.stack[height - 1].name != tag.name:
            height -= 1
        yield from self._shrunk(height, tag.start, tag.end)

    def _shrunk(self, height: int, end: int, outer_end: int = 0) -> Iterator[Region]:
        """Close elements until the stack is lower than ``height`` (the root stays)."""
        while len(self.stack) >= max(height, 2):
            frame = self.stack[-1]
            last = outer_end if outer_end and len(self.stack) == height else end
            if self.roots.get("hidden") == len(self.stack) and frame.hiding:
                del self.roots["hidden"]
                yield Region("element", frame.start, last, frame.hiding)
            if self.roots.get("collapsed") == len(self.stack):
                del self.roots["collapsed"]
                yield Region("collapsed", frame.content, end, _DETAILS)
            self.stack.pop()
            self.open_names[frame.name] -= 1

    def _raw_end(self, tag: _Tag) -> int:
        """Where the content of an element without markup ends."""
        close = re.compile(f"</{tag.name}(?![A-Za-z0-9])", re.IGNORECASE).search(self.text, tag.end)
        return close.start() if close else len(self.text)

    def _tag(self, start: int) -> _Tag:
        name = _NAME.match(self.text, start)
        if name is None:
            return _Tag("", closing=True, attributes={}, start=start, end=start + 2)
        closing = self.text[start + 1] == "/"
        attributes: dict[str, _Attribute] = {}
        at, most = name.end(), min(len(self.text), start + _LONGEST_TAG)
        while at < most:
            found = _ATTRIBUTE.match(self.text, at)
            if found is None:
                at = _spaces(self.text, at)
                if self.text.startswith(">", at):
                    at += 1
                    break
                at += 1  # a stray quote or sign
                continue
            value = self._value(found)
            attributes.setdefault(found[1].lower(), value)
            at = max(value.end + len(found[2] or ""), found.end())
        return _Tag(name[1].lower(), closing, attributes, start, min(at, len(self.text)))

    def _value(self, found: re.Match[str]) -> _Attribute:
        start = found.end()
        if "=" not in found.group():
            return _Attribute("", start, start)
        quote = found[2]
        end = self.text.find(quote, start, start + _LONGEST_TAG) if quote else -1
        if end < 0:
            plain = _UNQUOTED.match(self.text, start)
            end = plain.end() if plain else start
        return _Attribute(unescape(self.text[start:end]), start, end)


def _hiding(name: str, own: Mapping[str, str], style: Mapping[str, str]) -> Hiding | None:
    """How an element is hidden with all that is in it, if it is."""
    if "hidden" in own and own["hidden"].lower() != "until-found" and style.get("display", "none") == "none":
        return _HIDDEN
    if name in _STATES and "open" not in own:
        return _STATES[name]
    return hides(style) if style else None


def _told(tag: _Tag) -> Iterator[Region]:
    """Attributes that may hold text which is not shown with the page."""
    for name, attribute in tag.attributes.items():
        if name not in _NOT_TEXT and not name.startswith("on") and attribute.start < attribute.end:
            yield Region("attribute", attribute.start, attribute.end, _ATTRIBUTE_TEXT)


def _is_data(tag: _Tag) -> bool:
    """True for a ``script`` that is not run: facts or texts for machines."""
    kind = tag.attributes["type"].value.lower() if "type" in tag.attributes else ""
    return tag.name == "script" and bool(kind) and not any(word in kind for word in ("javascript", "module", "ecma"))


def _solid(below: Colour | Hiding | None) -> Colour | None:
    return below if isinstance(below, tuple) else None


def _near(one: Colour, other: Colour) -> bool:
    return all(abs(a - b) <= _NEAR for a, b in zip(one, other, strict=True))


def _after(text: str, mark: str, start: int) -> int:
    """Behind the next mark; the text's end when there is none."""
    at = text.find(mark, start)
    return len(text) if at < 0 else at + len(mark)


def _spaces(text: str, at: int) -> int:
    while at < len(text) and (text[at].isspace() or text[at] == "/"):
        at += 1
    return at
