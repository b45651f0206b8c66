"""Dates and times that requests carry."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime

__all__ = ["Moment", "ZonedMoment", "in_utc"]


def in_utc(given: datetime) -> datetime:
    """The same moment in UTC; one without zone is taken for UTC.

    Raises:
        ValueError: in UTC it is before the year 1 or after 9999, which neither Python nor a database can hold.

    >>> in_utc(datetime.fromisoformat("2026-01-02T01:00:00+02:00")).isoformat()
    '2026-01-01T23:00:00+00:00'
    """
    if given.tzinfo is None:
        return given.replace(tzinfo=timezone.utc)
    try:
        return given.astimezone(timezone.utc)
    except OverflowError:
        raise ValueError("expected a time in the years 1 to 9999 of UTC") from None


Moment = Annotated[datetime, AfterValidator(in_utc)]
"""A time with or without a zone, as in a question; in UTC."""

ZonedMoment = Annotated[AwareDatetime, AfterValidator(in_utc)]
"""A time that must name its zone; in UTC."""
