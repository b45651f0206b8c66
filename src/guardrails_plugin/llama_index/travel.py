"""A policy written down as JSON, for memories that are stored and read again.

Names and settings are written as they are. Engines and vaults hold keys and stay where they are: they are found again
by a name, within this process; the shared engine of a process is found in any.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict
from typing import Any
from weakref import WeakKeyDictionary, WeakValueDictionary

from guardrails_plugin.engine import default_engine
from guardrails_plugin.llama_index.guarding import Guarding
from guardrails_plugin.types import Context, Origin

__all__ = ["read", "written"]

_SHARED = "default"
_names: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
_named: WeakValueDictionary[str, Any] = WeakValueDictionary()


def written(policy: Guarding) -> dict[str, Any]:
    """The policy as JSON."""
    settings = {
        "recipes": dict(policy.recipes),
        "overrides": policy.overrides,
        "context": asdict(policy.context),
        "completions": policy.completions.value,
        "refuses": policy.refuses,
        "refusal": policy.refusal,
        "engine": _SHARED if policy.engine is default_engine() else _name(policy.engine),
        "vault": None if policy.vault is None else _name(policy.vault),
    }
    made: dict[str, Any] = json.loads(json.dumps(settings, default=_plain))
    return made


def read(data: dict[str, Any]) -> Guarding | None:
    """The policy that was written down; None where its engine or vault is not of this process, or no more."""
    known = dict(data)
    engine, vault = known.pop("engine"), known.pop("vault")
    own = default_engine() if engine == _SHARED else _named.get(engine)
    kept = None if vault is None else _named.get(vault)
    if own is None or (vault is not None and kept is None):
        return None
    context, completions = Context(**known.pop("context")), Origin(known.pop("completions"))
    return Guarding(own, **known, context=context, completions=completions, vault=kept)


def _name(thing: Any) -> str:
    name = _names.setdefault(thing, uuid.uuid4().hex)
    _named[name] = thing
    return name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, (set, frozenset)) else str(value)
