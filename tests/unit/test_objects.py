"""Structured output: fields are walked, values without text stay, anything else is left to the caller."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import PurePosixPath
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict

from guardrails_plugin.objects import walk_object
from guardrails_plugin.types import Origin


class Person(BaseModel):
    model_config = ConfigDict(extra="allow")
    name: str
    born: date


@dataclass(frozen=True)
class Row:
    note: str
    length: int = field(init=False, default=0)


def shout(value: Any, origin: Origin, name: str) -> Any:
    """A walk that shows which fields it was handed."""
    return f"{name}:{value}".upper() if isinstance(value, str) else value


def test_models_are_copied_field_by_field_extras_included() -> None:
    person = Person.model_validate({"name": "ann", "born": "2000-01-01", "note": "hi"})
    walked = walk_object(person, Origin.MODEL, shout)
    assert (walked.name, walked.note, walked.born) == ("NAME:ANN", "NOTE:HI", person.born)
    assert person.name == "ann"


def test_dates_paths_and_bytes_are_read_as_they_are_written() -> None:
    assert walk_object(date(2000, 1, 1), Origin.MODEL, shout) == ":2000-01-01"
    assert walk_object(PurePosixPath("/a"), Origin.MODEL, shout) == ":/A"
    assert walk_object(b"a", Origin.MODEL, shout) == b":A"


def test_dataclasses_are_copied_without_fields_that_cannot_be_given() -> None:
    assert walk_object(Row("hi"), Origin.MODEL, shout) == Row("NOTE:HI")


@pytest.mark.parametrize("value", [timedelta(1), Origin.USER])
def test_values_without_text_stay(value: Any) -> None:
    assert walk_object(value, Origin.MODEL, shout) is value


@pytest.mark.parametrize("value", [object(), Row, b"\xff"])
def test_anything_else_is_not_ours(value: Any) -> None:
    assert walk_object(value, Origin.MODEL, shout) is NotImplemented
