"""A label and its value in the name of a file or the path of a record: found; other numbers of such names are not."""

from __future__ import annotations

import pytest

from guardrails_plugin import Engine
from guardrails_plugin.file_names import labelled
from tests.strategies import NO_MODEL

NAMED = [
    ("/files/ssn_536-90-4399.pdf", "/files/ssn_<US_SSN>.pdf"),
    ("hr/ssn/536904399/photo.png", "hr/ssn/<US_SSN>/photo.png"),
    ("patient_mrn_00482913.json", "patient_mrn_<MEDICAL_RECORD_NUMBER>.json"),
    ("scan_iban_DE89370400440532013000_2.png", "scan_iban_<IBAN_CODE>_2.png"),
    ("passport_C01X00T47_front.jpg", "passport_<PASSPORT>_front.jpg"),
    ("SSN_536-90-4399", "SSN_<US_SSN>"),
    ("C:\\kyc\\card_4111111111111111.txt", "C:\\kyc\\card_<CREDIT_CARD>.txt"),
]

OTHER = [
    "build_536904399.log",
    "IMG_20240719_143022.jpg",
    "/orders/536904399/items",
    "session_536-90-43991.txt",
    "lessn_536904399_v2",
    "ssn_validator_v2.py",
    "mrn_test.json",
    "vin_report_2024.csv",
    "card_1234567890123456.csv",
]


@pytest.mark.parametrize(("text", "expected"), NAMED)
def test_a_labelled_value_is_replaced_in_its_name(text: str, expected: str, engine: Engine) -> None:
    assert engine.check(text, stage="prompt", overrides=NO_MODEL).output == expected
    assert len(labelled(text)) == len(text)


@pytest.mark.parametrize("text", OTHER)
def test_other_names_stay(text: str, engine: Engine) -> None:
    assert not engine.check(text, stage="prompt", overrides=NO_MODEL).findings


@pytest.mark.parametrize("text", [text for text, _ in NAMED])
def test_a_stream_says_the_same_wherever_it_is_cut(text: str, engine: Engine) -> None:
    whole = engine.check(f"see {text} now", stage="response", overrides=NO_MODEL).output
    for cut in range(4, len(text) + 4, 3):
        stream = engine.stream(stage="response", overrides=NO_MODEL)
        said = f"see {text} now"
        assert stream.feed(said[:cut]) + stream.feed(said[cut:]) + stream.finish() == whole
