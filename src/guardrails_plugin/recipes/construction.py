"""What pydantic says about the arguments of our own objects, said as every other mistake is: by a `ConfigError`."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from pydantic import BaseModel, ValidationError

from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.recipes.recipe import explain

__all__ = ["constructing"]


@contextmanager
def constructing(kind: type[BaseModel]) -> Generator[None]:
    """Around the ``__init__`` of a model.

    Raises:
        ConfigError: an argument is wrong, or there is none of that name.
    """
    try:
        yield
    except ValidationError as error:
        wrong = _explained(error, kind)
    else:
        return
    raise wrong


def _explained(error: ValidationError, kind: type[BaseModel]) -> ConfigError:
    for problem in error.errors(include_url=False, include_input=False):
        if problem["type"] == "extra_forbidden" and len(problem["loc"]) == 1:
            return unknown_name("argument", problem["loc"][0], kind.model_fields, kind.__name__)
    return explain(error, kind.__name__)
