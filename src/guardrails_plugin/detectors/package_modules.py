"""Go modules: their paths, and paths that imitate a well-known one.

A module's name is where it is kept, so nobody but its owner can publish a neighbour: ``github.com/gorilla/muxx`` would
be gorilla's own. An imitation differs in what an attacker can register, the account on a code host or the host itself,
and keeps the rest: ``github.com/gorila/mux``. Versions from 2 on and packages below a module stand behind its path.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

__all__ = ["imitated_module", "module_paths"]

_CODE_HOSTS = frozenset({"github.com", "gitlab.com", "bitbucket.org"})


def module_paths(path: str) -> Iterator[str]:
    """The path and those above it, the longest first, down to the shortest that can name a module.

    >>> list(module_paths("github.com/a/b/v2/c"))
    ['github.com/a/b/v2/c', 'github.com/a/b/v2', 'github.com/a/b']
    """
    parts = path.split("/")
    least = 3 if parts[0] in _CODE_HOSTS else 2
    yield from ("/".join(parts[:length]) for length in range(len(parts), least - 1, -1))


def imitated_module(path: str, known: Iterable[str], one_slip: Callable[[str, str], bool]) -> str | None:
    """The well-known module that a path imitates: another account or host, one slip away, and the same rest.

    Args:
        path: as it was named, in lower case.
        known: paths of well-known modules, in lower case.
        one_slip: whether two names are one typing error apart.
    """
    for real in known:
        owner, rest = _split(real)
        mine, below = _split(path, len(owner.split("/")))
        if (below == rest or below.startswith(f"{rest}/")) and one_slip(mine, owner):
            return real
    return None


def _split(path: str, length: int = 0) -> tuple[str, str]:
    """What its owner registered, and the rest."""
    parts = path.split("/")
    length = length or (2 if parts[0] in _CODE_HOSTS else 1)
    return "/".join(parts[:length]), "/".join(parts[length:])
