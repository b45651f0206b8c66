"""Personal data: every row finds its examples and no more, context counts, look-alikes and plain text stay silent."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import Engine
from guardrails_plugin.detectors.examples import expand
from guardrails_plugin.detectors.pii import Pii, _valid
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Matcher, Pattern
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment
from tests.strategies import NO_MODEL

ROWS = load_table("pii")
DETECTOR = Pii()
ALL = Pii(addresses=True)
OPTIONAL = tuple(sorted({row.entity_type for row in ROWS} - DETECTOR.entity_types))


def found(text: str, hint: str = "", detector: Pii = ALL) -> tuple[Finding, ...]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER, hint))], NO_CONTEXT)
    return tuple(findings)


def types(text: str, hint: str = "", detector: Pii = DETECTOR) -> dict[str, str]:
    """Values by type."""
    return {finding.entity_type: text[finding.start : finding.end] for finding in found(text, hint, detector)}


@cache
def looking_for(row: Pattern) -> Pii:
    """What finds the row's type among those of the default."""
    return Pii(entities=(row.entity_type,)) if row.entity_type in set(OPTIONAL) - ALL.entity_types else ALL


def cases(kind: str) -> list[object]:
    return [
        pytest.param(row, text, id=f"{row.id}-{index}")
        for row in ROWS
        for index, text in enumerate(map(expand, row.extra[kind]))
    ]


@pytest.mark.parametrize(("row", "text"), cases("good"))
def test_good_examples_are_found_where_they_stand(row: Pattern, text: str) -> None:
    start, end = (text.index("«"), text.index("»") - 1) if "«" in text else (0, len(text))
    plain = text.replace("«", "").replace("»", "")
    kind, hint = row.entity_type, row.extra.get("hint", "")
    spans = [(f.start, f.end) for f in found(plain, hint, looking_for(row)) if f.entity_type == kind]
    assert (start, end) in spans


@pytest.mark.parametrize(("row", "text"), cases("bad"))
def test_bad_examples_are_not_found_by_their_row(row: Pattern, text: str) -> None:
    rules = {finding.evidence["rule"] for finding in found(text, row.extra.get("hint", ""), looking_for(row))}
    assert row.id not in rules


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.id)
def test_rows_are_complete(row: Pattern) -> None:
    assert row.gating is not None
    assert row.width is not None
    assert row.extra["source"].startswith("https://")
    assert row.extra["good"]
    assert row.extra["bad"]
    assert row.score > 0 or row.context


def test_every_type_has_a_row_and_one_category() -> None:
    everything = Pii(optional=OPTIONAL)
    categorised = [entity for each in everything.categories.values() for entity in each]
    assert len(categorised) == len(set(categorised))
    assert {row.entity_type for row in ROWS} == set(categorised) == set(everything.entity_types)


NEAR_MISSES = [
    "100200300",
    "20240511",
    "1234567890",
    "10.4.2.1 is the version",
    "upgraded to version 10.4.2.1",
    "release 10.4.2.1",
    "nginx/1.18.0.2",
    "expr 15*3",
    "expr 15 '*' 3",
    "4111 1111 1111 1112",
    "order 4111111111111112",
    "0.4111111111111111",
    "550e8400-e29b-41d4-a716-446655440000",
    "da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "ISBN 978-3-16-148410-0",
    "ISBN-10: 0-306-40615-2",
    "1715421234567890",
    "1715421234",
    "$1,234,567.89",
    "2010-2015",
    "pages 123-4567",
    "555-12-3456789",
    "000-12-3456",
    "666-45-6789",
    "order number 123456789",
    "ticket #987654321",
    "Order: 123456789, my SSN is on file",
    '{"order_id": "123456789", "ssn": "hidden"}',
    "public 123456789",
    "policy 12345678",
    "std::string, Abc::Def, f64::EPSILON",
    "git@github.com:org/repo.git",
    "lodash@4.17.21",
    "logo@2x.png",
    "@app.route('/x')",
    "12:30:45",
    "2024-05-11T10:22:33.123Z",
    "SHA256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "aa:bb:cc:dd:ee:ff:00:11",
    "DOCUMENT DISTINCT FUNCTION BOUNDARY",
    "born to run in 2024",
    "license 1234567 of the public domain",
    "127.0.0.1 and 0.0.0.0 and 255.255.255.0",
    "x = 3.14159265358979",
    "sin(130692544)/cos(2)",
    "the 1,000,000,000 users",
    "invoice 03/14/2020",
    "+12345",
    "a+1234567890",
    "tracking number 021000021",
    "[12.3456, 78.9012, 34.5678]",
    "v2001:db8",
    "P<int, string>",
    "UPC 036000291452",
    "EAN 4006381333931",
    "#ff00ff #123456",
    "192.168.1 and 1.2.3.4.5",
    "doi:10.1000/182",
    "RFC 2616 section 14.2.3.1",
    "bc1 is not an address",
    "0, 4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 2 1 0",
    "4 8 15 16 23 42",
    "2019\n2020\n2021\n2022",
    "the checking account was opened 2024-05-11",
    "my account 123456789",
    "TX license plates 2024",
    "permis de construire 12AB34567",
    "the software patente 2019",
    "business license number 12345678",
    "office hours 02-04 and 05-06",
    "reach 030 or more",
    "2024 was my best phone year",
    "see b. 3.4.5 and option b. March",
    "happy birthday! 4/5 stars",
    "birthday discount until 5/12",
    "connect the dot at line dot 4",
    "meet me at amazon dot com",
    "12.345.678 euros",
    "dni 12345678a",
    "addr1 is a prefix and stake1 another",
    "admitted on 03/14/2020, aged 94",
    "0x7fff5fbff8c0",
]


@pytest.mark.parametrize("text", NEAR_MISSES)
def test_near_misses_are_not_found(text: str) -> None:
    assert types(text) == {}


BENIGN = [
    "The meeting moved to Tuesday at 10:30. Please bring the 2023 figures and the forecast for 2024-2025.",
    "Revenue grew by 12.5 % to $4,321,987.65 while costs fell from 3 210 450 to 2 998 001 euros.",
    "Install with pip install requests==2.31.0 numpy>=1.26.4 and run python -m pytest -q -x tests/unit.",
    "for i in range(1000000000): total += data[i] * 0x7fffffff  # 2**31 - 1 = 2147483647",
    "2024-05-11 10:22:33,123 INFO [main] request_id=8f14e45fceea167a took 123456789 ns, status=200 bytes=20480000",
    "commit 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nAuthor: nobody\nDate:   Sat May 11 10:22:33 2024 +0200",
    "The ISBN of the book is 978-0-262-03384-8; see pages 123-145 and chapter 7.3.2.1 for the proof.",
    "f(x) = 3.14159265 * x^2 + 2.71828182 * x - 1.41421356; the root is near 0.6180339887.",
    "Order 100200300 was shipped on 2024-05-11 with tracking number 9400110200881234567890.",
    "Version 10.4.2.1 fixes the crash that versions 10.4.2.0 and 10.3.9.12 had on macOS 14.5.",
    "SELECT id, name FROM orders WHERE id IN (100000001, 100000002, 100000003) LIMIT 1000;",
    "The train leaves at 7:45 from platform 12 and costs 39.90; the next one is the ICE 1234 at 8:15.",
    "Mix 250 g flour, 125 g butter and 2 eggs; bake 35-40 minutes at 180 °C; serves 4-6 people.",
    "In 1969 two people walked on the Moon; about 600 million watched, and 382 kg of rock came back by 1972.",
    '#!/bin/bash\nset -euo pipefail\nfor f in *.log; do gzip -9 "$f" && mv "$f.gz" /var/backups/2024/05/; done',
    '{"id": 123456789, "status": "ok", "items": [1001, 1002, 1003], "total": 4521.75, "ts": 1715421234}',
    "ID,quantity,price\n100000001,3,19.99\n100000002,1,5.49\n100000003,12,120.00\n",
    '<div class="col-md-4" id="item-123456789" data-ts="1715421234567" style="width:1024px">Hello</div>',
    "The UUID 123e4567-e89b-12d3-a456-426614174000 and the ULID 01ARZ3NDEKTSV4RRFFQ69G5FAV are both sortable or not.",
    "Die Sitzung am 12. Mai 2024 beginnt um 9 Uhr; der Haushalt umfasst 1.234.567,89 Euro.",
    "La réunion du 14 mars 2024 a réuni 1 200 participants ; le budget est de 3 450 000 euros.",
    "会议于2024年5月11日上午10点举行,参加人数为1200人,预算为3450000元。",
    "Встреча состоится 11.05.2024 в 10:30, бюджет 3 450 000 рублей, участников 1200.",
    "Set max_connections=500, timeout=30000, buffer=134217728 and port 5432 in postgresql.conf (section 20.3.1).",
    "The sequence 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 377, 610, 987, 1597 continues for ever.",
    "Weights: [0.12345678, 0.87654321, -0.33333333, 1.00000001]; loss 0.00012345 after 100000000 steps.",
    "CVE-2024-12345 affects OpenSSL 3.0.13; the patch is at revision 20240511, build 22631.3593.",
    "She scored 300 points in 200 games, averaging 415.5 per season between 1998 and 2004, a club record.",
    "Part no. AB-123456-C, model XJ900, serial 4C530001230509117164: the warranty ends 12/31/2026.",
    'int main(void) { unsigned long n = 18446744073709551615UL; printf("%lu\\n", n & 0xDEADBEEF); return 0; }',
    "Please summarise this public document about licences, accounts and passports in three sentences.",
    "How do I validate a credit card number, an IBAN or a social security number with a regular expression?",
    "My phone battery lasts 12 hours; the cell has 4500 mAh and the call dropped 3 times in 2023.",
    "The account team closed 42 accounts in Q3; the routing of tickets took 3.5 days on average.",
    "He was born in Vienna in 1879 and died in Princeton in 1955; the house at the corner is a museum.",
    "Use a 192-bit key, SHA-512, 310000 iterations; the tag d41d8cd98f00b204e9800998ecf8427e is the empty MD5.",
    "https://example.com/articles/123456789/how-to?page=2&ref=100200300#section-4.2.1",
    "GET /api/v1/orders/1234567890/items/42 HTTP/1.1 200 1532 0.004 1715421234.567",
    "k8s: image registry/app:1.2.3-20240511.4 replicas 3 cpu 500m memory 1073741824",
    "DNA: ATGCGTACGTTAGCCTAGGATCCGATCGATCGTACGATCG; PROTEIN MKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ",
]


@pytest.mark.parametrize("text", BENIGN)
def test_benign_paragraphs_stay_silent(text: str) -> None:
    assert types(text) == {}


@pytest.mark.parametrize(
    ("text", "hint", "entity", "value"),
    [
        ('{"ssn": "078051120"}', "", "US_SSN", "078051120"),
        ('{"userSsn": "078051120"}', "", "US_SSN", "078051120"),
        ('{"social_security_number": 78051120, "socialSecurityNumber": "078051120"}', "", "US_SSN", "078051120"),
        ('{"dateOfBirth": "1980-03-14"}', "", "DATE_OF_BIRTH", "1980-03-14"),
        ("date_of_birth=14/03/1980", "", "DATE_OF_BIRTH", "14/03/1980"),
        ('{"order_id": "078051120", "ssn": "078051121"}', "", "US_SSN", "078051121"),
        ("078051120", "ssn", "US_SSN", "078051120"),
        ("1980-03-14", "dateofbirth", "DATE_OF_BIRTH", "1980-03-14"),
        ("123", "card cvv", "CARD_SECURITY_CODE", "123"),
        ("20-00-00", "sort code", "UK_SORT_CODE", "20-00-00"),
        ("9434765919", "nhs_number", "UK_NHS", "9434765919"),
        ("340020013", "passport number", "US_PASSPORT", "340020013"),
        ("4155552671", "phone", "PHONE_NUMBER", "4155552671"),
    ],
)
def test_names_of_fields_are_context(text: str, hint: str, entity: str, value: str) -> None:
    assert types(text, hint) == {entity: value}


LABELLED_OTHERWISE = [
    ('{"order": "4532015112830366"}', ""),
    ('{"order": 4532015112830366}', ""),
    ('{"shipmentTrackingNumber": "4532015112830366", "x": 1}', ""),
    ("Invoice no. 4532015112830366", ""),
    ("invoice_id=4532015112830366&x=1", ""),
    ("4532015112830366", "order number"),
    ("Booking 371449635398431", ""),
]


@pytest.mark.parametrize(("text", "hint"), LABELLED_OTHERWISE)
def test_a_label_of_something_else_speaks_against_bare_digits_of_a_card(text: str, hint: str) -> None:
    assert all(finding.score < 0.5 for finding in found(text, hint))


@pytest.mark.parametrize(
    "text", ["4532015112830366", '{"value": "4532015112830366"}', '{"order_card": 4532015112830366}']
)
def test_other_names_do_not(text: str) -> None:
    assert [(f.entity_type, f.score >= 0.95) for f in found(text)] == [("CREDIT_CARD", True)]


@pytest.mark.parametrize(
    ("text", "entity"),
    [
        ("card 4111 1111 1111 1111", "CREDIT_CARD"),
        ("phone card 4111 1111 1111 1111", "CREDIT_CARD"),
        ("IBAN GB82 WEST 1234 5698 7654 32 card", "IBAN_CODE"),
        ("+1 415-555-2671", "PHONE_NUMBER"),
        ("passport 925665416, British", "UK_PASSPORT"),
        ("NHS number 943 476 5919, call", "UK_NHS"),
        ("CPF 390.533.447-05", "BR_CPF"),
        ("card 11010519491231002X id", "CN_RESIDENT_ID"),
    ],
)
def test_of_overlapping_findings_the_surest_stays(text: str, entity: str) -> None:
    assert list(types(text)) == [entity]


LABELS_DECIDE = {
    "CPR 070761-4285": "DK_CPR",
    "Personnummer 070761-4285": "SE_PERSONNUMMER",
    "070761-4285 (CPR)": "DK_CPR",
    "passport: F1234567N": "PASSPORT",
    "NRIC: F1234567N": "SG_NRIC",
    "reisepass: X1234567L": "PASSPORT",
    "NIE: X1234567L": "ES_NIE",
    "driver license: AB1234563": "US_DRIVERS_LICENSE",
    "DEA number AB1234563": "MEDICAL_LICENSE",
    "account number: 8001015009087": "US_BANK_NUMBER",
    "account number: 4111111111111111": "CREDIT_CARD",
    "call 078-05-1120": "US_SSN",
    "ΑΜΚΑ 01010100001": "GR_AMKA",
    "Reisepassnummer C01X0006H1": "PASSPORT",
    "Steuernummer 21/815/08150": "DE_TAX_NUMBER",
    "Cédula de ciudadanía 1.020.304.050": "CEDULA",
    "Kontonummer 12345678": "BANK_ACCOUNT",
    "Mein PIN ist 4711": "PIN",
    "Your verification code is 482913": "VERIFICATION_CODE",
}


@pytest.mark.parametrize(("text", "entity"), LABELS_DECIDE.items())
def test_the_label_decides_between_types_of_one_shape(text: str, entity: str) -> None:
    assert list(types(text)) == [entity]


def _labelled() -> dict[str, frozenset[str]]:
    """Of every example with the shapes of several types: each type's own label before it, and what it then may be."""
    rows = [
        row
        for row in ROWS
        if row.context and not row.value_group and row.entity_type in DETECTOR.categories["sensitive"]
        if not {"also", "hint"} & set(row.extra) and row.validator != "vat"
    ]
    values = {text[text.index("«") + 1 : text.index("»")] for row in ROWS for text in row.extra["good"] if "«" in text}
    said: dict[str, frozenset[str]] = {}
    for value in sorted(values):
        fits = [row for row in rows if row.compiled.fullmatch(value.encode()) and _valid(row, value)]
        for row in fits if len({row.entity_type for row in fits}) > 1 else ():
            label = row.context[0]
            said[f"{label}: {value}"] = frozenset(other.entity_type for other in fits if label in other.context)
    return said


def test_a_value_of_several_shapes_is_what_its_label_says() -> None:
    telling = {"CREDIT_CARD", "US_BANK_NUMBER"}  # a card stays one in an account's field
    wrong = [
        text
        for text, expected in _labelled().items()
        if not (set(types(text)) & expected or telling <= {*types(text), *expected})
    ]
    assert wrong == []


EVERYDAY = {
    "My SSN is 123-45-6789.": ("US_SSN", "123-45-6789"),
    "My phone number is 555-123-4567": ("PHONE_NUMBER", "555-123-4567"),
    "reach me on +1-202-555-0173 today": ("PHONE_NUMBER", "+1-202-555-0173"),
    "(202)555-0173": ("PHONE_NUMBER", "(202)555-0173"),
    "call 2025550173 now": ("PHONE_NUMBER", "2025550173"),
    "07911 123456": ("PHONE_NUMBER", "07911 123456"),
    "+44 7911 123456": ("PHONE_NUMBER", "+44 7911 123456"),
    "Toronto office: 416-555-0123": ("PHONE_NUMBER", "416-555-0123"),
    "DL: D1234567": ("US_DRIVERS_LICENSE", "D1234567"),
    "my driver's license number is A123-4567-8901": ("US_DRIVERS_LICENSE", "A123-4567-8901"),
    "passport number is 123456789": ("US_PASSPORT", "123456789"),
    "UK passport number 123456789": ("UK_PASSPORT", "123456789"),
    "bank account 1234567890": ("US_BANK_NUMBER", "1234567890"),
    "IBAN: GB29NWBK60161331926819": ("IBAN_CODE", "GB29NWBK60161331926819"),
    "NI number QQ 12 34 56 C": ("UK_NATIONAL_INSURANCE_NUMBER", "QQ 12 34 56 C"),
    "She was born on January 5, 1990 in Ohio": ("DATE_OF_BIRTH", "January 5, 1990"),
    "DOB 01/05/1990": ("DATE_OF_BIRTH", "01/05/1990"),
    "my ip is 10.0.0.1": ("IP_ADDRESS", "10.0.0.1"),
    "zip code 90210": ("US_ZIP", "90210"),
    "lives at 123 Main St, Anytown, CA 12345 now": ("STREET_ADDRESS", "123 Main St, Anytown, CA 12345"),
    "Send it to 221B Baker Street, London NW1 6XE": ("STREET_ADDRESS", "221B Baker Street, London NW1 6XE"),
    "100 Queen St W, Toronto, ON M5H 2N2": ("STREET_ADDRESS", "100 Queen St W, Toronto, ON M5H 2N2"),
    "ssn,name\n078-05-1120,Ann": ("US_SSN", "078-05-1120"),
    "Visa ending: 4012888888881881, thanks": ("CREDIT_CARD", "4012888888881881"),
    "medical license number G12345": ("MEDICAL_LICENSE", "G12345"),
    "DLN 12345678 TX": ("US_DRIVERS_LICENSE", "12345678"),
    "WA license WDLABCD456DG": ("US_DRIVERS_LICENSE", "WDLABCD456DG"),
    "office (02) 9876 5432": ("PHONE_NUMBER", "(02) 9876 5432"),
    "(11) 91234-5678 é o meu celular": ("PHONE_NUMBER", "(11) 91234-5678"),
    "600 123 456 es mi móvil": ("PHONE_NUMBER", "600 123 456"),
    "reach Maria on 030 12345678": ("PHONE_NUMBER", "030 12345678"),
    "My bday's 5/12": ("DATE_OF_BIRTH", "5/12"),
    "Your number is 4111\n1111\n1111\n1111\n": ("CREDIT_CARD", "4111\n1111\n1111\n1111"),
}


@pytest.mark.parametrize(("text", "expected"), EVERYDAY.items())
def test_everyday_sentences(text: str, expected: tuple[str, str]) -> None:
    assert tuple(types(text, detector=ALL).items()) == (expected,)


def test_the_nearest_context_word_wins() -> None:
    text = "ssn 078051120, passport number 340020013, routing number 021000021"
    assert types(text) == {
        "US_SSN": "078051120",
        "US_PASSPORT": "340020013",
        "US_ABA_ROUTING_TRANSIT_NUMBER": "021000021",
    }


@pytest.mark.parametrize("before", ["né à Zürich, 电话 ", "Привет 😀 ", "日本語"])
def test_offsets_count_code_points(before: str) -> None:
    text = f"{before}078-05-1120 ✓ john.smith@example.com"
    assert types(text) == {"US_SSN": "078-05-1120", "EMAIL_ADDRESS": "john.smith@example.com"}


@pytest.mark.parametrize(
    "text",
    [
        "card ４１１１ １１１１ １１１１ １１１１",
        "card 4111\u200b 1111 11\u200b11 1111",
        "card 4111\u00a01111\u00a01111\u00a01111",
    ],
)
def test_disguised_digits_are_found_at_their_place(text: str) -> None:
    assert types(text) == {"CREDIT_CARD": text[5:]}


def test_two_values_in_one_base64_run_are_both_found() -> None:
    run = "Y2FyZCA0MTExIDExMTEgMTExMSAxMTExIG1haWwgYUBleGFtcGxlLm9yZw=="
    assert set(types(f"decode {run} please")) == {"CREDIT_CARD", "EMAIL_ADDRESS"}


def test_context_raises_the_score() -> None:
    (alone,), (named,) = found("x 078-05-1120"), found("ssn 078-05-1120")
    assert alone.score < named.score


def test_settings() -> None:
    text = "a@example.org, 078-05-1120, lives at 742 Evergreen Terrace"
    assert set(types(text)) == {"EMAIL_ADDRESS", "US_SSN"}
    assert set(types(text, detector=ALL)) == {"EMAIL_ADDRESS", "US_SSN", "STREET_ADDRESS"}
    assert set(types(text, detector=Pii(entities=("US_SSN",)))) == {"US_SSN"}
    assert set(types(text, detector=Pii(entities=("STREET_ADDRESS",)))) == {"STREET_ADDRESS"}
    assert set(types(text, detector=Pii(allow=("078 05 1120", "A@Example.org")))) == set()
    assert Pii(entities=("US_SSN",)).categories["sensitive"] == {"US_SSN"}


def test_optional_types_are_looked_for_where_they_are_named() -> None:
    text = "On 2024-05-11 at 10:30 she paid $1,234.56, see https://example.org/pay; born 1980-03-14"
    assert types(text) == {"DATE_OF_BIRTH": "1980-03-14"}
    named = Pii(entities=("DATE_OF_BIRTH", "DATE_TIME"), optional=("MONEY", "URL"))
    assert [(f.entity_type, text[f.start : f.end]) for f in found(text, detector=named)] == [
        ("DATE_TIME", "2024-05-11"),
        ("DATE_TIME", "10:30"),
        ("MONEY", "$1,234.56"),
        ("URL", "https://example.org/pay"),
        ("DATE_OF_BIRTH", "1980-03-14"),
    ]
    assert Pii(optional=("MONEY",)).entity_types == DETECTOR.entity_types | {"MONEY"}
    with pytest.raises(ValueError, match=r"pii.optional"):
        Pii(optional=("US_SSN",))


def test_unknown_entities_are_named() -> None:
    with pytest.raises(ValueError, match=r"US_SNN.*US_SSN"):
        Pii(entities=("US_SNN",))
    with pytest.raises(ValueError, match="entitys"):
        Pii(entitys=("US_SSN",))  # type: ignore[call-arg]


def test_empty_text_has_no_findings() -> None:
    assert found("") == ()


TEXTS = st.lists(
    st.one_of(
        st.text(max_size=20),
        st.text("0123456789 .-/+()", max_size=24),
        st.sampled_from([re.sub("[«»]", "", text) for row in ROWS for text in row.extra["good"]]),
        st.sampled_from(NEAR_MISSES),
    ),
    max_size=8,
).map(" ".join)


@given(TEXTS)
def test_findings_are_sorted_valid_and_repeatable(text: str) -> None:
    findings = found(text)
    assert findings == found(text) == found(text, detector=Pii(addresses=True))
    assert [(f.start, f.end) for f in findings] == sorted((f.start, f.end) for f in findings)
    assert all(0 <= f.start < f.end <= len(text) and 0 < f.score <= 1 for f in findings)
    assert {f.entity_type for f in findings} <= ALL.entity_types


@given(TEXTS)
def test_gates_and_threads_change_nothing(text: str) -> None:
    normal = normalize(Segment(text, Origin.USER))
    plain = Pii(addresses=True)
    vars(plain)["_matcher"] = Matcher({"pii": plain.patterns}, use_hyperscan=False)
    expected = found(text)
    assert tuple(plain.detect([normal], NO_CONTEXT)[0]) == expected
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(found, [text] * 4)) == [expected] * 4


@given(TEXTS, st.sampled_from(["x " * 60, "word. " * 30, "\n" * 130]))
def test_what_overlaps_decides_and_nothing_else(text: str, gap: str) -> None:
    """Far from each other, two copies have the findings that each has alone (but for the whole-text rows)."""
    whole = {row.id for row in ROWS if row.regex.startswith("^")}
    one = [(f.start, f.end, f.entity_type) for f in found(f"{gap}{text}{gap}")]
    two = [
        (f.start, f.end, f.entity_type)
        for f in found(f"{gap}{text}{gap}{text}{gap}")
        if f.end <= 2 * len(gap) + len(text) and f.evidence["rule"] not in whole
    ]
    assert two == one


def test_of_two_rows_with_the_same_finding_the_same_wins_in_every_order() -> None:
    plain = Pii(addresses=True)
    vars(plain)["_matcher"] = Matcher({"pii": plain.patterns}, use_hyperscan=False)
    text = normalize(Segment("(020)0000 000", Origin.USER))
    assert tuple(plain.detect([text], NO_CONTEXT)[0]) == found("(020)0000 000")


def test_the_public_numbers_of_companies_are_reported_only(engine: Engine) -> None:
    assert Pii().categories["company"] == {"BANK_CODE", "SWIFT_CODE", "US_EIN", "VAT_ID"}
    text = "USt-IdNr. DE136695976, BIC COBADEFFXXX, BLZ 10070024, EIN 12-3456789, IBAN DE89 3704 0044 0532 0130 00"
    result = engine.check(text, stage="ingestion", overrides=NO_MODEL)
    assert result.output == text.replace("DE89 3704 0044 0532 0130 00", "<IBAN_CODE>")
    assert {finding.entity_type for finding in result.findings} >= Pii().categories["company"]
