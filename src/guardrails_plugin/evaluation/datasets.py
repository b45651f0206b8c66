"""Labelled texts and benign logs from JSON lines."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Origin

__all__ = ["Row", "read_rows"]


class Row(BaseModel):
    """One text of a dataset; other keys of the line are left alone.

    Attributes:
        label: 1 when it is what the detector looks for, else 0.
        category: kind of text, for the table of results.
        lang: language, for the table of results.
        origin: who wrote it; None: as asked on the command line.
    """

    model_config = ConfigDict(frozen=True)

    text: str = Field(repr=False)
    label: Literal[0, 1] = 0
    category: str = ""
    lang: str = ""
    origin: Origin | None = None


def read_rows(path: Path, *, labelled: bool = True) -> list[Row]:
    """The rows of a ``.jsonl`` or ``.jsonl.gz`` file; a line that is a bare JSON string is a benign text.

    Args:
        path: the file.
        labelled: every row needs a label.

    Raises:
        ConfigError: a line is no such row (the message names it), or there are none.
    """
    rows = [_row(line, f"{path.name}:{number}", labelled=labelled) for number, line in _lines(path)]
    if not rows:
        raise ConfigError(f"{path.name}: no rows")
    return rows


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    opener = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8") as lines:
            yield from ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise ConfigError(f"{path.name}: expected JSON lines in UTF-8, got {type(error).__name__}") from None


def _row(line: str, where: str, *, labelled: bool) -> Row:
    try:
        data: Any = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigError(f"{where}: not JSON") from None
    data = {"text": data} if isinstance(data, str) else data
    if labelled and isinstance(data, dict) and "label" not in data:
        raise ConfigError(f"{where}: no label (0 or 1)")
    try:
        return Row.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"])) or "row"
        raise ConfigError(f"{where}: {place}: {problem['msg']}") from None
