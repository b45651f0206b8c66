"""Of arguments that do not fit, fields and what is expected are told, and nothing of what was given."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any, Literal

import pytest
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic.v1 import BaseModel as OldModel
from pydantic.v1 import ValidationError as OldError
from pydantic_core import PydanticCustomError

from guardrails_plugin.invalid_arguments import explained, field_names, without_values

RAW = "536-90-4399"


class Cat(BaseModel):
    """One of two."""

    kind: Literal["cat"]


class Dog(BaseModel):
    """The other."""

    kind: Literal["dog"]


def _complains(value: str) -> str:
    raise ValueError(f"{value} is not what I want")


def _complains_in_its_own_way(value: str) -> str:
    raise PydanticCustomError(f"odd {value}", f"{value} is odd")


class Asked(BaseModel, extra="forbid"):
    """A tool's arguments."""

    number: int = 0
    when: datetime | None = None
    id: uuid.UUID | None = None
    short: Annotated[str, Field(max_length=5)] = ""
    choice: Literal["a", "{b}"] = "a"
    own: Annotated[str, AfterValidator(_complains)] = ""
    odd: Annotated[str, AfterValidator(_complains_in_its_own_way)] = ""
    animal: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    named: dict[str, int] | None = None
    cats: list[Cat] | None = None


def said(given: dict[str, Any]) -> tuple[str, ValidationError]:
    with pytest.raises(ValidationError) as caught:
        Asked.model_validate(given)
    clean = without_values(caught.value, field_names(Asked.model_json_schema()))
    return explained(clean).removeprefix("The arguments are not valid: "), clean


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"number": RAW}, "number: Input should be a valid integer, unable to parse string as an integer."),
        ({"short": RAW}, "short: String should have at most 5 characters."),
        ({"choice": RAW}, "choice: Input should be 'a' or '{b}'."),
        ({"own": RAW}, "own: Value error."),
        ({"odd": RAW}, "odd: not valid (invalid)."),
        ({"animal": {"kind": RAW}}, "animal: not valid (union_tag_invalid)."),
        ({"animal": RAW}, "animal: Input should be a valid dictionary or object to extract fields from."),
        ({"named": {RAW: RAW}}, "named....: Input should be a valid integer, unable to parse string as an integer."),
        ({"cats": [{"kind": RAW}]}, "cats.0.kind: Input should be 'cat'."),
        ({RAW: 1}, "...: Extra inputs are not permitted."),
        ({"when": RAW}, "when: Input should be a valid datetime or date."),
        ({"id": RAW}, "id: Input should be a valid UUID."),
    ],
)
def test_fields_and_what_they_should_be_are_told(given: dict[str, Any], expected: str) -> None:
    told, clean = said(given)
    assert told == expected
    assert RAW not in f"{clean} {clean!r} {clean.errors()} {clean.json()} {clean.title}"


def test_each_error_has_its_line() -> None:
    told, clean = said({"number": RAW, "choice": RAW})
    assert told.count(";") == 1
    assert [one["type"] for one in clean.errors()] == ["int_parsing", "literal_error"]


def test_errors_of_pydantic_1_are_told_by_their_kind() -> None:
    class Old(OldModel):
        number: int

    with pytest.raises(OldError) as caught:
        Old.parse_obj({"number": RAW})
    assert explained(without_values(caught.value, {"number"})).endswith("number: not valid (type_error.integer).")
