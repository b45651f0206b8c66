"""A heading labels every cell of its column, however far below."""

from __future__ import annotations

import time

import pytest

from guardrails_plugin import Engine
from guardrails_plugin.columns import Columns
from tests.strategies import NO_MODEL

ALL = {**NO_MODEL, "pii": dict.fromkeys(("contact", "date"), "replace")}
ROWS = 30

NAMES = ("ssn", "dob", "account_number", "password")
VALUES = ("536904399", "1984-03-12", "123456789012", "Zx8kLmQ2hT")
TYPES = ("US_SSN", "DATE_OF_BIRTH", "US_BANK_NUMBER", "GENERIC_SECRET")


def lines(separator: str, left: str = "", right: str = "") -> str:
    rows = [("name", *NAMES), *((f"Ann {'abc'[n % 3]}", *VALUES) for n in range(ROWS))]
    return "\n".join(left + separator.join(row) + right for row in rows)


HTML = "<table><tr><th>Name</th>" + "".join(f"<th>{name}</th>" for name in NAMES) + "</tr>"
HTML += "".join("<tr><td>Ann</td>" + "".join(f"<td>{value}</td>" for value in VALUES) + "</tr>" for _ in range(ROWS))
TABLES = [
    lines(","),
    lines(";"),
    lines("\t"),
    lines('","', '"', '"'),
    lines(" | ", "| ", " |").replace("\n", "\n|---|---|---|---|---|\n", 1),
    HTML + "</table>",
]


@pytest.mark.parametrize("text", TABLES, ids=("comma", "semicolon", "tab", "quoted", "markdown", "html"))
def test_every_row_is_found_and_in_a_stream_too(engine: Engine, text: str) -> None:
    output = engine.check(text, stage="response", overrides=ALL).output
    assert [output.count(f"<{kind}>") for kind in TYPES] == [ROWS] * len(TYPES)
    stream = engine.stream(stage="response", overrides=ALL)
    pieces = (text[at : at + 200] for at in range(0, len(text), 200))
    assert "".join([*(stream.feed(piece) for piece in pieces), stream.finish()]) == output


def test_the_column_decides_what_a_value_is(engine: Engine) -> None:
    text = "name,ssn,iban,passport\nAnn,536904399,DE89370400440532013000,C01X00T47\nBob,219099999,x,y"
    output = engine.check(text, stage="response", overrides=ALL).output
    assert output.split("\n")[1].startswith("Ann,<US_SSN>,<IBAN_CODE>,<")
    assert output.split("\n")[2] == "Bob,<US_SSN>,x,y"
    german = "Name;Geburtsdatum;Telefon\nAnna;12.03.1984;0171 2345678"
    assert engine.check(german, stage="response", overrides=ALL).output.endswith("Anna;<DATE_OF_BIRTH>;<PHONE_NUMBER>")


@pytest.mark.parametrize(
    "content",
    [
        {"columns": ["name", "ssn"], "data": [["Ann", "536904399"], ["Bob", 536904399]]},
        [["name", "ssn"], ["Ann", "536904399"], ("Bob", 536904399)],
        {"table": {"columns": ("id", "ssn"), "rows": [("1", "536904399")]}},
    ],
)
def test_rows_of_objects_know_their_column(engine: Engine, content: object) -> None:
    output = engine.check(content, stage="response", overrides=ALL).output
    assert "536904399" not in str(output)
    assert "US_SSN" in str(output)
    assert type(output) is type(content)


@pytest.mark.parametrize(
    "text",
    [
        "id,order_id,amount\n1,536904399,5\n2,536904399,6",
        "Dear Ann,\nyour order, 536904399, is here, as is the bill.",
        "user,password\nann,required\nbob,required",
        "| key | value |\n|---|---|\n| colour | Zx8kLmQ2hT |",
    ],
)
def test_other_tables_and_prose_say_nothing(engine: Engine, text: str) -> None:
    assert engine.check(text, stage="response", overrides=ALL).output == text


def test_a_cell_must_be_filled_by_the_value() -> None:
    columns = Columns('name,note\n"Lee, Ann","a 536904399"')
    assert columns.label(22, 33) == "note"
    assert columns.label(24, 33) == ""
    assert list(Columns("a,b\n1,2").below(9)) == []


def test_tables_take_linear_time() -> None:
    def seconds(rows: int) -> float:
        text = "id,ssn\n" + "1,536904399\n" * rows
        columns, began = Columns(text), time.process_time()
        for at in range(9, len(text), 12):
            columns.label(at, at + 9)
        return time.process_time() - began

    few = min(seconds(500) for _ in range(3))
    assert min(seconds(5000) for _ in range(3)) < 20 * few


SQL = "INSERT INTO users (name, `ssn`, [note]) VALUES\n ('O''Hara, Ann', '536904399', lower('a, b')), ('Bo', '1', 'x')"


@pytest.mark.parametrize(("cell", "label"), [("536904399", "ssn"), ("'1'", "ssn"), ("Bo", "name"), ("x", "note")])
def test_values_of_an_insert_stand_under_their_column(cell: str, label: str) -> None:
    start = SQL.index(cell)
    assert Columns(SQL).label(start, start + len(cell)) == label


@pytest.mark.parametrize(
    "text",
    [
        "INSERT INTO users (name, ssn) VALUES ('536904399')",
        "INSERT INTO users VALUES ('Ann', '536904399')",
        "insert into users (name, ssn) select 'Ann', '536904399'",
        "INSERT INTO users (name, ssn) VALUES ('unclosed, '536904399",
    ],
)
def test_an_insert_without_columns_or_with_other_counts_labels_nothing(text: str) -> None:
    start = text.index("536904399")
    assert Columns(text).label(start, start + 9) == ""


def test_inserts_without_an_end_take_linear_time() -> None:
    text = "insert into t (a, b) values ('" * 3000
    began = time.process_time()
    assert Columns(text).label(len(text) - 2, len(text)) == ""
    assert time.process_time() - began < 2
