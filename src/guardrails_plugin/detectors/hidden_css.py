"""Whether the style of an element hides its text.

Two kinds of hiding, because they are inherited differently: nothing inside an element that is not displayed can show
itself again; an inner element can give tiny, invisible or background-coloured text its size and colour back.

Source: CSS Display 3, CSS Color 4, CSS Fonts 4, CSS Masking 1 (clip), CSS Syntax 3 (escapes and comments).
Limits: relative lengths by the defaults of browsers; scripts are not evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from colorsys import hls_to_rgb
from dataclasses import dataclass, replace

__all__ = ["Colour", "Hiding", "colour", "declarations", "hides", "ink", "moves", "paper", "tiny"]

Colour = tuple[int, int, int]
"""Red, green and blue, 0..255."""


@dataclass(frozen=True, slots=True)
class Hiding:
    """A way of hiding and how surely it hides.

    Attributes:
        accessible: the usual way to leave text to screen readers, so short labels are innocent.
    """

    reason: str
    score: float
    accessible: bool = False

    def undone(self) -> Hiding:
        """This hiding where the page can take it back: then it is a state of the page, not a secret.

        >>> Hiding("display", 0.9).undone().score
        0.4
        """
        return replace(self, score=min(self.score, _STATE))


_COMMENT = re.compile(r"/\*[^*]*\*/")
_ESCAPE = re.compile(r"\\([0-9a-f]{1,6})\s?")
_LENGTH = re.compile(r"([+-]?\d{0,6}(?:\.\d{1,6})?)(px|pt|em|rem|ex|ch|vw|vh|%|in|cm|mm|pc)?")
_PIXELS = {
    "px": 1,
    "pt": 4 / 3,
    "em": 16,
    "rem": 16,
    "ex": 8,
    "ch": 8,
    "vw": 10,
    "vh": 8,
    "%": 0.16,
    "in": 96,
    "cm": 38,
    "mm": 3.8,
    "pc": 16,
    "": 1,
}
_RGB = re.compile(r"rgba?\(\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})(?:[\s,/]+([\d.]{1,8}%?))?\s*\)")
_HSL = re.compile(r"hsla?\(\s*(\d{1,3})(?:deg)?[\s,]+(\d{1,3})%[\s,]+(\d{1,3})%(?:[\s,/]+([\d.]{1,8}%?))?\s*\)")
_TRANSLATED = re.compile(r"translate(?:3d|x|y)?\(\s*([^,()]{1,20})(?:,\s*([^,()]{1,20}))?")
_NO_CLIP = re.compile(r"rect\(\s*0\w*[\s,]+0\w*[\s,]+0\w*[\s,]+0\w*\s*\)|rect\(\s*1px[\s,]+1px[\s,]+1px[\s,]+1px\s*\)")
_NO_CLIP_PATH = re.compile(r"inset\(\s*(?:50|100)%|circle\(\s*0|polygon\(\s*0(?:px)?\s+0(?:px)?\s*\)")
_NO_SCALE = re.compile(r"scale(?:3d|x|y)?\(\s*0(?:\.0\d*)?\s*[,)]")
_SHORTHAND = re.compile(r"(?:^|\s)0(?:\.0{1,4})?(?:px|pt|em|%)?(?:\s|/|$)")
_NAMED: Mapping[str, Colour] = {
    "white": (255, 255, 255), "snow": (255, 250, 250), "ivory": (255, 255, 240), "ghostwhite": (248, 248, 255),
    "whitesmoke": (245, 245, 245), "black": (0, 0, 0), "red": (255, 0, 0), "lime": (0, 255, 0), "blue": (0, 0, 255),
    "yellow": (255, 255, 0), "green": (0, 128, 0), "gray": (128, 128, 128), "grey": (128, 128, 128),
    "silver": (192, 192, 192), "navy": (0, 0, 128), "orange": (255, 165, 0), "purple": (128, 0, 128),
    "teal": (0, 128, 128), "maroon": (128, 0, 0), "aqua": (0, 255, 255), "fuchsia": (255, 0, 255),
}  # fmt: skip
_SEEN_AS_ZERO = 0.05
"""Opacity and alpha at which text cannot be made out."""

_TINIEST = 2.0
"""Pixels below which letters are dots; browsers' own minimum font sizes begin at 6."""

_FAR = -400.0
"""Pixels beyond which nothing of a box is left on the screen."""

_BEYOND = 5000.0
"""Pixels to the other side that no screen has."""

_STATE = 0.4
"""Score of what is hidden for the moment: under every threshold in use, so that words have to decide."""


def declarations(style: str) -> dict[str, str]:
    r"""Properties of a style attribute, lower case, comments and escapes resolved; the last one wins.

    >>> declarations("DISPLAY:/**/no\\6e e !important")
    {'display': 'none'}
    """
    plain = _ESCAPE.sub(lambda m: chr(min(int(m[1], 16), 0xFFFF)), _COMMENT.sub("", style.lower()))
    pairs = (item.partition(":") for item in plain.split(";"))
    return {name.strip(): value.replace("!important", "").strip() for name, _, value in pairs if value.strip()}


def hides(style: Mapping[str, str]) -> Hiding | None:
    """How declarations hide an element with everything in it, if they do."""
    if style.get("display") == "none":
        # Mail programs that ignore display are served by more of the kind; only previews of mails are written for them.
        preview = "mso-hide" in style or "max-height" in style
        return Hiding("mail preview", _STATE) if preview else Hiding("display", 0.9)
    if style.get("content-visibility") == "hidden":
        return Hiding("content-visibility", 0.85)
    if (opacity := _number(style.get("opacity"))) is not None and opacity <= _SEEN_AS_ZERO:
        return Hiding("opacity", 0.85)
    if "opacity(0" in style.get("filter", "").replace(" ", ""):
        return Hiding("opacity", 0.85)
    if _NO_SCALE.search(style.get("transform", "")):
        return Hiding("scale", 0.85)
    return _out_of_sight(style) or _boxless(style)


def _out_of_sight(style: Mapping[str, str]) -> Hiding | None:
    if style.get("position") in ("absolute", "fixed", "relative"):
        offsets = [_pixels(style.get(side)) for side in ("left", "top", "right", "bottom")]
        if any(map(_away, offsets)):
            return Hiding("off-screen", 0.8, accessible=True)
    moved = _TRANSLATED.search(style.get("transform", ""))
    lengths = [style.get(name) for name in ("text-indent", "margin-left", "margin-top")]
    if any(map(_away, map(_pixels, [*lengths, *(moved.groups() if moved else ())]))):
        return Hiding("off-screen", 0.75, accessible=True)
    if _NO_CLIP.search(style.get("clip", "")) or _NO_CLIP_PATH.search(style.get("clip-path", "")):
        return Hiding("clip", 0.8, accessible=True)
    return None


def _away(offset: float | None) -> bool:
    return offset is not None and not _FAR < offset < _BEYOND


def _boxless(style: Mapping[str, str]) -> Hiding | None:
    """A box without area that shows nothing beyond itself."""
    if not style.get("overflow", "").startswith(("hidden", "clip")):
        return None
    sizes = [_pixels(style.get(name)) for name in ("width", "height", "max-width", "max-height")]
    least = min((size for size in sizes if size is not None), default=99.0)
    return Hiding("zero-size", 0.8, accessible=least > 0) if least <= 1 else None


def moves(style: Mapping[str, str]) -> bool:
    """True when a change of the style is prepared: what is out of sight now comes into it."""
    return any(name.startswith(("transition", "animation")) for name in style)


def tiny(style: Mapping[str, str]) -> bool | None:
    """True when the font is too small to read, False when it is set to a readable size, None when it is not set."""
    size = _pixels(style.get("font-size"))
    if size is not None:
        return size <= _TINIEST
    font = style.get("font", "")
    return bool(_SHORTHAND.search(font)) if font else None


def ink(style: Mapping[str, str]) -> Colour | Hiding | None:
    """The colour of text; None where it is not set, or where a background or a shadow shows through its letters."""
    if "text" in (style.get("background-clip"), style.get("-webkit-background-clip")):
        return None
    found = colour(style.get("-webkit-text-fill-color") or style.get("color"))
    return None if found == _TRANSPARENT and "text-shadow" in style else found


def paper(style: Mapping[str, str]) -> Colour | Hiding | None:
    """The colour of the background; `Hiding` where something unknown covers it (an image); None where it is not set."""
    value = style.get("background-color") or style.get("background") or ""
    if "url(" in value or "gradient(" in value or "background-image" in style:
        return _COVERED
    return next((found for part in (value, *value.split()) if isinstance(found := colour(part), tuple)), None)


def colour(value: str | None) -> Colour | Hiding | None:
    """A colour; `Hiding` for one that is transparent; None for what is not understood."""
    value = (value or "").strip().lower()
    if value == "transparent":
        return _TRANSPARENT
    if value in _NAMED:
        return _NAMED[value]
    if match := _RGB.fullmatch(value):
        alpha = _number(match[4])
        if alpha is not None and alpha <= _SEEN_AS_ZERO:
            return _TRANSPARENT
        return int(match[1]), int(match[2]), int(match[3])
    if match := _HSL.fullmatch(value):
        alpha = _number(match[4])
        return _TRANSPARENT if alpha is not None and alpha <= _SEEN_AS_ZERO else _from_hsl(match)
    return _hex(value[1:]) if value.startswith("#") else None


def _from_hsl(match: re.Match[str]) -> Colour:
    hue, saturation, lightness = int(match[1]) / 360, int(match[2]) / 100, int(match[3]) / 100
    red, green, blue = (round(255 * part) for part in hls_to_rgb(hue, lightness, saturation))
    return red, green, blue


_COVERED = Hiding("covered", 0.0)
_TRANSPARENT = Hiding("transparent", 0.85)


def _hex(digits: str) -> Colour | Hiding | None:
    if len(digits) in (3, 4):
        digits = "".join(digit * 2 for digit in digits)
    if len(digits) not in (6, 8) or not all(digit in "0123456789abcdef" for digit in digits):
        return None
    red, green, blue, *alpha = bytes.fromhex(digits)
    return _TRANSPARENT if alpha and alpha[0] <= _SEEN_AS_ZERO * 255 else (red, green, blue)


def _number(value: str | None) -> float | None:
    match = re.fullmatch(r"(\d{0,6}(?:\.\d{0,8})?)(%?)", value or "")
    if match is None or match[1] in ("", "."):
        return None
    return float(match[1]) / (100 if match[2] else 1)


def _pixels(value: str | None) -> float | None:
    """A length in pixels, by CSS defaults for relative units."""
    match = _LENGTH.fullmatch(value or "")
    if match is None or match[1] in ("", "+", "-"):
        return None
    return float(match[1]) * _PIXELS[match[2] or ""]
