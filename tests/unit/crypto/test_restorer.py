"""Hidden values are found by what they are, and only those."""

from __future__ import annotations

import time
from functools import partial

import pytest

from guardrails_plugin.crypto.restorer import Hidden, Restorer
from guardrails_plugin.errors import ContentError


def hidden(text: str, plain: str, entity_type: str = "T", *, rigid: bool = False) -> Hidden:
    """A value that stands for ``plain``."""
    return Hidden(entity_type, text, partial(str, plain), rigid)


VALUES = [
    hidden("631-73-4356", "078-05-1120", "US_SSN"),
    hidden("+5 (697) 945-0410", "+1 (415) 555-0132", "PHONE"),
    hidden("GB22 ZYPE 4011 7433 1476 28", "GB29 NWBK 6016 1331 9268 19", "IBAN_CODE"),
    hidden("rxru.sln@eldnoaz.uk", "jane.doe@example.uk", "EMAIL"),
    hidden("Neca Fgc", "Jane Doe", "PERSON"),
    hidden("<PERSON_1>", "José", "PERSON", rigid=True),
    hidden("<PERSON_11>", "王小明", "PERSON", rigid=True),
]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("nothing here", "nothing here"),
        ("631-73-4356", "078-05-1120"),
        ("SSN:631-73-4356.", "SSN:078-05-1120."),
        ("**631-73-4356** _631-73-4356_", "**078-05-1120** _078-05-1120_"),
        ("号码631-73-4356是", "号码078-05-1120是"),
        ('{"ssn":"631-73-4356"}', '{"ssn":"078-05-1120"}'),
        ("631734356", "078051120"),
        ("631 73 4356", "078 05 1120"),
        ("631\u201373\u20134356", "078\u201305\u20131120"),
        ("6317-34356", "0780-51120"),
        ("call 56979450410 now", "call 14155550132 now"),
        ("call +5 (697) 945-0410 now", "call +1 (415) 555-0132 now"),
        ("call +5-697-945-0410 now", "call +1-415-555-0132 now"),
        ("GB22ZYPE40117433147628", "GB29NWBK60161331926819"),
        ("mail rxru.sln@eldnoaz.uk, please", "mail jane.doe@example.uk, please"),
        ("Neca Fgc's", "Jane Doe's"),
        ("<PERSON_1> and <PERSON_11>", "José and 王小明"),
        ("<<PERSON_1>>", "<José>"),
        ("631-73-4356 631-73-4356", "078-05-1120 078-05-1120"),
    ],
)
def test_found_as_it_is_and_with_other_separators(text: str, expected: str) -> None:
    """Original in place, the text's own separators kept."""
    assert Restorer(VALUES).restore(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "1631-73-4356",
        "631-73-43567",
        "x631-73-4356",
        "631-73-4356x",
        "0631734356",
        "6317343560",
        "631\n73\n4356",
        "631 -- 73 -- 4356",
        "631x73x4356",
        "xrxru.sln@eldnoaz.uk",
        "rxru.sln@eldnoaz.uks",
        "rxrusln@eldnoaz.uk",
        "NecaFgc",
        "neca fgc",
        "PERSON_1",
        "<PERSON_2>",
        "<PERSON_1",
        "gb22zype40117433147628",
    ],
)
def test_near_misses_are_left_alone(text: str) -> None:
    """Part of a longer word or number, too far apart, another case, no number."""
    assert Restorer(VALUES).restore(text) == text


def test_a_restored_value_is_not_looked_at_again() -> None:
    """A's original is B's ciphertext; one pass turns each back once."""
    chain = [hidden("111-111-111", "222-222-222"), hidden("222-222-222", "333-333-333")]
    assert Restorer(chain).restore("111-111-111 222-222-222") == "222-222-222 333-333-333"


def test_the_longest_value_wins() -> None:
    """Whatever the order they were given in."""
    values = [hidden("ABCDE", "short"), hidden("ABCDE FGHIJ", "long")]
    for order in (values, values[::-1]):
        assert Restorer(order).restore("ABCDE FGHIJ, ABCDE") == "long, short"


def test_ambiguous_numbers_are_found_only_exactly() -> None:
    """Two values with the same digits and different originals: bare digits could be either."""
    restorer = Restorer([hidden("631-73-4356", "111-11-1111"), hidden("63-17-34356", "22-22-22222")])
    assert restorer.restore("631734356, 631-73-4356, 63-17-34356") == "631734356, 111-11-1111, 22-22-22222"
    agreeing = Restorer([hidden("631-73-4356", "111-11-1111"), hidden("631734356", "111111111")])
    assert agreeing.restore("631 73 4356") == "111 11 1111"


def test_one_text_for_two_values_is_refused() -> None:
    """Rather than guess; the message quotes neither."""
    with pytest.raises(ContentError) as caught:
        Restorer([hidden("<P_1>", "Ann", rigid=True), hidden("<P_1>", "Bob", rigid=True)])
    assert not any(word in str(caught.value) for word in ("Ann", "Bob"))
    Restorer([hidden("<P_1>", "Ann", rigid=True), hidden("<P_1>", "Ann", rigid=True)])


def test_only_the_types_asked_for_are_restored() -> None:
    """A tool trusted with one type gets no other."""
    text = "631-73-4356 Neca Fgc"
    assert Restorer(VALUES).restore(text, types={"PERSON"}) == "631-73-4356 Jane Doe"
    assert [found.entity_type for found in Restorer(VALUES).find(text, types={"US_SSN"})] == ["US_SSN"]


def test_find_gives_places_in_order() -> None:
    """Half-open offsets of what stands there; the repr shows no value."""
    found = Restorer(VALUES).find("a 631734356, Neca Fgc")
    assert [(f.start, f.end, f.entity_type) for f in found] == [(2, 11, "US_SSN"), (13, 21, "PERSON")]
    assert "078" not in repr(found)
    assert "631" not in repr(VALUES)


def test_longest_covers_what_can_be_found() -> None:
    """A stream that holds back this much cuts no value."""
    restorer = Restorer(VALUES[:1])
    spread = " - ".join("631734356")
    assert restorer.restore(spread) != spread
    assert restorer.longest >= len(spread)
    assert Restorer([]).longest == 0
    assert Restorer([]).restore("text") == "text"


def test_time_is_linear_in_text_and_values() -> None:
    """Ten thousand values in a long text full of near misses."""
    values = [hidden(f"<US_SSN_{n}>", str(n), rigid=True) for n in range(5000)]
    values += [hidden(f"{n:03}-{n % 89:02}-{n:06}", f"{n:011}") for n in range(5000)]
    restorer = Restorer(values)
    text = "US <US_SSN_ 100-11-000 000 000 000 " * 3000
    began = time.perf_counter()
    assert restorer.restore(text) == text
    assert time.perf_counter() - began < 5
