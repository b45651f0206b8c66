"""Tables in text: which cell stands under which heading.

Comma-, semicolon- and tab-separated lines, Markdown's pipes, HTML's rows, SQL's ``INSERT INTO t (a, b) VALUES (1, 2)``.
A heading labels every cell of its column, however far below. Found in one pass, when first asked for.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

__all__ = ["Columns"]

_SEPARATORS = "|\t;,"
_QUOTED = re.compile(r'"[^"]*"')
_HEADING = re.compile(r"[^\W\d_](?!.*\d{3})[^.!?=<>{}]{0,39}")
_TAG = re.compile(r"<(/?)(table|tr|t[hd])\b[^<>]{0,200}>", re.IGNORECASE)
_AROUND = " \t\r\"'`*_"
_INSERT = re.compile(r"\binto\s{1,9}[^\s(]{1,99}\s{0,9}(\([^()]{1,2000}\))\s{0,9}values\s{0,9}", re.IGNORECASE)
_VALUE = re.compile(r"(?:'(?:[^'\\]|\\.){0,999}'|\"[^\"]{0,999}\"|\([^()]{0,99}\)|[^,()'\"]){0,999}")
_NEXT = re.compile(r"\)\s{0,9},\s{0,99}(?=\()")


@dataclass(frozen=True, slots=True)
class _Cell:
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class _Table:
    """A heading row and where its lines stand."""

    labels: tuple[str, ...]
    head: _Cell
    rows: list[tuple[_Cell, ...]] = field(default_factory=list)


class Columns:
    r"""The tables of one text.

    >>> Columns("name,ssn\nAnn,536904399").label(13, 22)
    'ssn'
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def label(self, start: int, end: int) -> str:
        """The heading over the cell that ``start:end`` fills; "" when there is none."""
        index = bisect_right(self._starts, start) - 1
        if index < 0:
            return ""
        cell, table, column = self._cells[index]
        fills = not self._text[cell.start : start].strip(_AROUND) and not self._text[end : cell.end].strip(_AROUND)
        return table.labels[column] if start < end <= cell.end and fills else ""

    def below(self, at: int) -> Iterator[tuple[int, int]]:
        """The filled cells under the heading at a place, without quotes and spaces around them."""
        for table in self._tables:
            if not table.head.start <= at < table.head.end:
                continue
            column = bisect_right([cell.start for cell in table.rows[0]], at) - 1
            for cell in (row[column] for row in table.rows[1:]):
                said = self._text[cell.start : cell.end]
                start = cell.start + len(said) - len(said.lstrip(_AROUND))
                end = cell.start + len(said.rstrip(_AROUND))
                if start < end:
                    yield start, end

    def head(self, at: int) -> tuple[int, int] | None:
        """Where the headings stand for the row that a place is in."""
        for table in self._tables:
            if table.head.end <= at <= table.rows[-1][-1].end:
                return table.head.start, table.head.end
        return None

    @cached_property
    def _tables(self) -> list[_Table]:
        found = list(_in_lines(self._text))
        if "</t" in self._text.lower():
            found += _in_html(self._text)
        if any(word in self._text for word in ("values", "VALUES", "Values")):
            found += _in_sql(self._text)
        return [table for table in found if len(table.rows) > 1]

    @cached_property
    def _cells(self) -> list[tuple[_Cell, _Table, int]]:
        cells = (
            (cell, table, column) for table in self._tables for row in table.rows[1:] for column, cell in enumerate(row)
        )
        return sorted(cells, key=lambda found: found[0].start)

    @cached_property
    def _starts(self) -> list[int]:
        return [cell.start for cell, _, _ in self._cells]


def _in_lines(text: str) -> Iterator[_Table]:
    table, separator, start = None, "", 0
    for line in text.split("\n"):
        if table is not None:
            cells = _split(line, separator, start)
            if len(cells) == len(table.labels):
                table.rows.append(cells)
                start += len(line) + 1
                continue
            yield table
        table, separator = _headed(text, line, start)
        start += len(line) + 1
    if table is not None:
        yield table


def _headed(text: str, line: str, start: int) -> tuple[_Table | None, str]:
    separator = next((one for one in _SEPARATORS if one in line), "")
    if not separator:
        return None, ""
    table = _table(text, _split(line, separator, start), _Cell(start, start + len(line) + 1))
    return table, separator


def _table(text: str, cells: tuple[_Cell, ...], head: _Cell) -> _Table | None:
    labels = tuple(text[cell.start : cell.end].strip(_AROUND) for cell in cells)
    named = [label for label in labels if label]
    if len(named) < 2 or not all(map(_HEADING.fullmatch, named)):
        return None
    return _Table(labels, head, [cells])


def _split(line: str, separator: str, start: int) -> tuple[_Cell, ...]:
    if '"' in line:
        line = _QUOTED.sub(lambda quoted: "x" * len(quoted[0]), line)
    cells = []
    for part in line.split(separator):
        cells.append(_Cell(start, start + len(part)))
        start += len(part) + 1
    return tuple(cells)


def _in_html(text: str) -> Iterator[_Table]:
    table: _Table | None = None
    for head, row, last in _html_rows(text):
        if table is None:
            table = _table(text, row, head)
        elif len(row) == len(table.labels):
            table.rows.append(row)
        if last and table is not None:
            yield table
            table = None


def _html_rows(text: str) -> Iterator[tuple[_Cell, tuple[_Cell, ...], bool]]:
    """Every row that has cells: where it stands, its cells, whether it is the last of its table."""
    cells: list[_Cell] = []
    began, opened = 0, None
    rows: list[tuple[_Cell, tuple[_Cell, ...]]] = []
    for tag in (*_TAG.finditer(text), None):
        at = tag.start() if tag else len(text)
        if opened is not None:
            cells.append(_Cell(opened, at))
            opened = None
        name = tag[2].lower() if tag else "table"
        if tag and name in ("th", "td"):
            opened = None if tag[1] else tag.end()
            continue
        if cells:
            rows.append((_Cell(began, tag.end() if tag and tag[1] else at), tuple(cells)))
        began, cells = at, []
        if name == "table":
            yield from ((*row, row is rows[-1]) for row in rows)
            rows = []


def _in_sql(text: str) -> Iterator[_Table]:
    """Every ``INSERT`` that names its columns; a comma within a string parts nothing."""
    at = 0
    while insert := _INSERT.search(text, at):  # behind what was read: nothing is read twice
        names = _tuple(text, insert.start(1))
        labels = tuple(text[cell.start : cell.end].strip(_AROUND + "\n[]") for cell in names)
        table = _Table(labels, _Cell(*insert.span(1)), [names])
        at = insert.end()
        while text[at : at + 1] == "(":
            row = _tuple(text, at)
            at = row[-1].end
            if len(row) != len(labels):
                break
            table.rows.append(row)
            more = _NEXT.match(text, at)
            at = more.end() if more else at
        yield table


def _tuple(text: str, at: int) -> tuple[_Cell, ...]:
    """The parts of the bracket that opens at a place."""
    cells = []
    while at < len(text) and text[at] in "(,":
        part = _VALUE.match(text, at + 1)
        at = part.end() if part else len(text)
        cells.append(_Cell(part.start() if part else at, at))
    return tuple(cells)
