"""Whether an id or an ordinary path from outside is what agents look up as a matter of course.

An agent asks for the list of files and opens one, asks for the channels and posts to one: such values always come from
outside, and the user's words rarely hold them. They are somebody else's choice when

- the call destroys something, and the user asked for nothing of the kind, or named another path;
- the call sends a file away, and the user named another one alone;
- the call goes to a channel, and the user named another one.

Limits: English; channels are known by ``#name``, "the name channel" or "channel name"; an opaque id (with digits)
beside a named channel in the outside text counts as its id.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from guardrails_plugin.detectors.tool_sources import Sources
from guardrails_plugin.detectors.tool_targets import Target, fold
from guardrails_plugin.detectors.tool_words import tool_table, verb, words

__all__ = ["looked_up"]

_PLACE = frozenset("channel channels room rooms".split())
_CHANNEL = re.compile(
    r"(?<![\w/])#([\w-]{2,80})|\b([\w-]{2,80}) channel\b|\bchannel (?:called |named )?[\"'`]?([\w-]{2,80})"
)
_NO_CHANNEL = frozenset(
    "the this that these any every each another other our my your their its new same right wrong slack teams discord "
    "team public private relevant is in on to for of with and or where".split()
)
_GIVING = frozenset("attach email export forward mail post publish send share submit upload".split())
_SEVERAL = re.compile(r"\b(?:all|both|every\w*|files|attachments|documents|rest|others?|also|along|together)\b")
_URL = re.compile(r"\w+://\S+")
_PATH = re.compile(
    r"(?<![\w/\\.~:-])(?:[a-z]:[/\\]|~?/|\.{1,2}/)[\w.~/\\-]+|(?<![\w/\\@-])[\w-]+(?:[./][\w-]+)*\.[a-z]\w{0,4}\b"
)


def looked_up(tool: str, target: Target, said: Sequence[str], outside: Sources) -> bool:
    """True when nothing the user said speaks against such a value in a call of this tool.

    Args:
        tool: its name.
        target: an id or a path that the user did not name.
        said: the user's turns; none tell nothing.
        outside: the texts it stands in.
    """
    request = _URL.sub(" ", fold("\n".join(said)))
    if not request:
        return True
    if _destroys(tool) and (not _asks_to_destroy(request) or _names_another_path(target, request)):
        return False
    if _gives_away(tool) and _names_another_path(target, request) and not _SEVERAL.search(request):
        return False
    return target.kind != "id" or not _names_another_channel(target, request, outside)


def _destroys(tool: str) -> bool:
    """True when the first verb of a tool's name destroys."""
    return verb(tool) in tool_table()["plan"]["destroy"]["step"].split()


def _gives_away(tool: str) -> bool:
    return verb(tool) in _GIVING


def _asks_to_destroy(request: str) -> bool:
    table = tool_table()
    stems = (*table["plan"]["destroy"]["request"].split(), *table["delegation"]["implies_removal"].split())
    return any(word.startswith(stems) for word in re.findall(r"[a-z][a-z-]*", request))


def _names_another_path(target: Target, request: str) -> bool:
    """True when the request names paths, and none is this one, its name, its end, or a folder above it."""
    if target.kind != "path":
        return False
    named = [match.group().replace("\\", "/").removeprefix("./").rstrip("/.") for match in _PATH.finditer(request)]
    return bool(named) and not any(
        target.key == path or target.key.startswith(f"{path}/") or target.key.endswith(f"/{path.lstrip('~/')}")
        for path in named
    )


def _names_another_channel(target: Target, request: str, outside: Sources) -> bool:
    if _PLACE.isdisjoint(words(target.argument.rpartition(".")[2])):
        return False
    named = {next(filter(None, match.groups())) for match in _CHANNEL.finditer(request)} - _NO_CHANNEL
    if not named or target.key in named:
        return False
    opaque = any(char.isdigit() for char in target.key)
    return not opaque or not any(
        named & set(re.findall(r"[\w-]+", f"{before} {after}")) for before, after in outside.beside(target)
    )
