"""Guards as fields of LangChain's pydantic objects.

LangChain makes such objects anew from their fields (`configurable_fields`, alternatives): a policy kept anywhere else
would be lost on the way, and the new object guard nothing.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from pydantic import BeforeValidator

from guardrails_plugin.langchain.check import check_at
from guardrails_plugin.langchain.runnable import Guard
from guardrails_plugin.types import Stage

__all__ = ["guard_at"]


def guard_at(stage: Stage) -> BeforeValidator:
    """Makes a field take a guard of one stage; True for the stage's recipe, False or None for none."""
    return BeforeValidator(partial(_guard, stage))


def _guard(stage: Stage, value: Any) -> Guard | None:
    # What `model_dump` makes of a guard.
    given = Guard(**value) if isinstance(value, dict) else value
    check = check_at(False if given is None else given, stage)
    return check.guard if check is not None else None
