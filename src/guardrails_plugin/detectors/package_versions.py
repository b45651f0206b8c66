"""Versions compared the way PyPI, npm, Go and Cargo do, and ranges of vulnerable versions.

Source: PEP 440 (Python), Semantic Versioning 2.0.0 (npm and the rest), the OSV schema 1.6 (events of ranges).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

__all__ = ["affected", "version_key"]

_PEP440 = re.compile(
    r"v?(?:(?P<epoch>\d{1,6})!)?(?P<release>\d{1,20}(?:\.\d{1,20}){0,20})"
    r"(?:[-_.]?(?P<pre>a|b|c|rc|alpha|beta|pre|preview)[-_.]?(?P<pre_n>\d{0,10}))?"
    r"(?:-(?P<post_short>\d{1,10})|[-_.]?(?P<post>post|rev|r)[-_.]?(?P<post_n>\d{0,10}))?"
    r"(?:[-_.]?(?P<dev>dev)[-_.]?(?P<dev_n>\d{0,10}))?(?:\+[a-z0-9._-]{1,60})?",
    re.IGNORECASE,
)
_SEMVER = re.compile(
    r"v?=?(\d{1,20})(?:\.(\d{1,20}))?(?:\.(\d{1,20}))?(?:-([0-9A-Za-z.-]{1,80}))?(?:\+[0-9A-Za-z.-]{1,80})?"
)
_PRE = {"alpha": "a", "beta": "b", "c": "rc", "pre": "rc", "preview": "rc"}
_LAST = 10**21
"""Above every number in a version."""

Key = tuple[object, ...]


@lru_cache(maxsize=4096)
def version_key(version: str, ecosystem: str) -> Key | None:
    """What versions are sorted by, of ``pypi`` or, all alike, of the others; None for what is no version.

    >>> version_key("1.0rc1", "pypi") < version_key("1.0", "pypi") < version_key("1.0.post1", "pypi")
    True
    """
    return _pep440(version.strip()) if ecosystem == "pypi" else _semver(version.strip())


def _pep440(version: str) -> Key | None:
    match = _PEP440.fullmatch(version)
    if match is None:
        return None
    release = [int(part) for part in match["release"].split(".")]
    while len(release) > 1 and release[-1] == 0:
        release.pop()
    final = match["pre"] is None
    has_post = match["post"] is not None or match["post_short"] is not None
    only_dev = final and not has_post and match["dev"] is not None
    kind = (match["pre"] or "").lower()
    pre: Key = ("", 0) if only_dev else ("z", 0) if final else (_PRE.get(kind, kind), int(match["pre_n"] or 0))
    post = int(match["post_short"] or match["post_n"] or 0) if has_post else -1
    dev = int(match["dev_n"] or 0) if match["dev"] else _LAST
    return int(match["epoch"] or 0), tuple(release), pre, post, dev


def _semver(version: str) -> Key | None:
    match = _SEMVER.fullmatch(version)
    if match is None:
        return None
    numbers = tuple(int(part or 0) for part in match.groups()[:3])
    if match[4] is None:
        return (*numbers, (1,))
    # Numeric identifiers come before others, fewer before more.
    return (
        *numbers,
        (0, tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in match[4].split("."))),
    )


def affected(version: str, ecosystem: str, events: Iterable[Mapping[str, str]]) -> bool:
    """True when the events of one OSV range (introduced, fixed, last_affected) leave a version vulnerable."""
    key = version_key(version, ecosystem)
    if key is None:
        return False
    state = False
    for event in sorted(events, key=lambda event: _place(event, ecosystem)):
        for name, value in event.items():
            mark = _mark(value, ecosystem)
            if name == "introduced" and not key < mark:
                state = True
            elif (name == "fixed" and not key < mark) or (name == "last_affected" and mark < key):
                state = False
    return state


def _zero(ecosystem: str) -> str:
    """Before every version."""
    return "0.dev0" if ecosystem == "pypi" else "0.0.0-0"


def _mark(value: str, ecosystem: str) -> Key:
    key = version_key(_zero(ecosystem) if value == "0" else value, ecosystem)
    return key or version_key(_zero(ecosystem), ecosystem) or ()


def _place(event: Mapping[str, str], ecosystem: str) -> tuple[Key, bool]:
    name, value = next(iter(event.items()), ("introduced", "0"))
    return _mark(value, ecosystem), name != "introduced"
