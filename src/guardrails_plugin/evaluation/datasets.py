"""Labelled texts and benign logs from JSON lines and CSV."""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Origin

__all__ = ["Row", "read_rows"]


_LABELS = {"1": 1, "true": 1, "yes": 1, "0": 0, "false": 0, "no": 0}
"""What may stand for a label in a table, in any case."""


def _label(value: object) -> object:
    return _LABELS.get(value.strip().casefold(), value) if isinstance(value, str) else value


class Row(BaseModel):
    """One text of a dataset; other keys of the line, or columns, are left alone.

    Attributes:
        label: 1 when it is what the detector looks for, else 0.
        category: kind of text, for the table of results.
        lang: language, for the table of results.
        origin: who wrote it; None: as asked on the command line.
        pair: what it shares with its near twin of the other label, so that both are held back or neither.
    """

    model_config = ConfigDict(frozen=True)

    text: str = Field(repr=False)
    label: Annotated[Literal[0, 1], BeforeValidator(_label)] = 0
    category: str = ""
    lang: str = ""
    origin: Annotated[Origin | None, BeforeValidator(lambda value: value or None)] = None
    pair: Annotated[str, BeforeValidator(lambda value: str(value or ""))] = ""


def read_rows(path: Path, *, labelled: bool = True) -> list[Row]:
    """The rows of a ``.jsonl`` or ``.csv`` file, of such a one with ``.gz``, or of every ``.jsonl`` file of a folder.

    A line of JSON that is a bare string is a benign text. A table's first line names its columns.

    Args:
        path: the file or folder.
        labelled: every row needs a label.

    Raises:
        ConfigError: a line is no such row (the message names it), or there are none.
    """
    if path.is_dir():
        files = sorted(path.glob("*.jsonl"))
        if not files:
            raise ConfigError(f"{path.name}: no .jsonl file in this folder")
        return [row for file in files for row in read_rows(file, labelled=labelled)]
    read = _table if path.name.removesuffix(".gz").endswith(".csv") else _json_lines
    try:
        rows = [_row(data, f"{path.name}:{line}", labelled=labelled) for line, data in read(path)]
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, csv.Error) as error:
        raise ConfigError(f"{path.name}: expected JSON lines or CSV in UTF-8, got {type(error).__name__}") from None
    if not rows:
        raise ConfigError(f"{path.name}: no rows")
    return rows


def _table(path: Path) -> Iterator[tuple[int, Any]]:
    with _opened(path) as file:
        table = csv.DictReader(file)
        if "text" not in (table.fieldnames or ()):
            raise ConfigError(f"{path.name}:1: expected a column 'text' among the names of the columns")
        yield from ((table.line_num, {name: cell for name, cell in row.items() if cell is not None}) for row in table)


def _json_lines(path: Path) -> Iterator[tuple[int, Any]]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except (ValueError, RecursionError):
                    raise ConfigError(f"{path.name}:{number}: not JSON") from None


def _opened(path: Path) -> IO[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    return opener(path, "rt", encoding="utf-8-sig", newline="")


def _row(data: Any, where: str, *, labelled: bool) -> Row:
    data = {"text": data} if isinstance(data, str) else data
    if labelled and isinstance(data, dict) and "label" not in data:
        raise ConfigError(f"{where}: no label (0 or 1)")
    try:
        return Row.model_validate(data)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, problem["loc"])) or "row"
        raise ConfigError(f"{where}: {place}: {problem['msg']}") from None
