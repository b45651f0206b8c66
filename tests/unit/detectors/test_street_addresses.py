"""Street addresses in many formats, found where they stand."""

from __future__ import annotations

import pytest

from guardrails_plugin.detectors.street_addresses import StreetAddresses
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Origin, Segment


def found(content: str) -> list[str]:
    findings = StreetAddresses().detect([normalize(Segment(content, Origin.USER))], NO_CONTEXT)[0]
    assert {finding.entity_type for finding in findings} <= {"STREET_ADDRESS"}
    return [content[finding.start : finding.end] for finding in findings if finding.score >= 0.5]


@pytest.mark.parametrize(
    ("before", "address", "after"),
    [
        ("I live at ", "12 Oak Street, Austin, TX 78701", "."),
        ("ship it to ", "4208 Juniper Ridge Dr Apt 7, Bend, OR 97702", " please"),
        ("write to ", "PO Box 881, Reno, NV 89501", "."),
        ("the flat is at ", "9 Station Road, Ely CB7 4BS", ", top bell"),
        ("Deliver to ", "Flat 2, 18 Abbey Lane, Norwich NR1 3PQ", "."),
        ("Mail it to ", "1450 Granville St, Suite 300, Vancouver, BC V6Z 1M9", "."),
        ("Drop it at ", "14 Banksia Street, Dubbo NSW 2830", "."),
        ("Ich wohne in der ", "Gartenstraße 14, 70174 Stuttgart", "."),
        ("Livrez au ", "18 rue de la Fontaine, 44000 Nantes", "."),
        ("Vivo en ", "Calle de Goya 27, 28001 Madrid", "."),
        ("Abito in ", "Via Mazzini 5, 40121 Bologna", "."),
        ("Mijn adres is ", "Molenstraat 33, 5211 DX Den Bosch", "."),
        ("Jag bor på ", "Skolgatan 12, 903 22 Umeå", "."),
        ("Mieszkam przy ", "ul. Polna 7/3, 60-535 Poznań", "."),
        ("Moro na ", "Rua das Palmeiras, 210, Centro, Curitiba - PR, 80010-000", "."),
        ("住所は", "神奈川県横浜市中区山下町2丁目5番3号", "です。"),
    ],
)
def test_formats(before: str, address: str, after: str) -> None:
    assert found(f"{before}{address}{after}") == [address]


@pytest.mark.parametrize(
    "content",
    [
        "Chapter 3 of the Oak Street trilogy has 212 pages.",
        "In 2021 Fleet Street editors wrote 14 letters.",
        "Highway 12 was closed for 30 miles near Denver on 4 May.",
        "Order 78701 was shipped on 12/05/2024, total $45.10.",
        "Im Jahr 2019 kamen 4500 Besucher nach Leipzig.",
        "Oak Street is quiet at night.",
        "version 4.2.1 of main-drive, build 20941",
    ],
)
def test_near_misses(content: str) -> None:
    assert found(content) == []


def test_zero_width_characters_hide_nothing() -> None:
    hidden = "12 Oak\u200b Stre\u200bet, Aus\u200btin, TX 787\u200b01"
    assert found(f"I live at {hidden}.") == [hidden]


@pytest.mark.parametrize(
    "escaped",
    [
        "12%20Oak%20Street%2C%20Austin%2C%20TX%2078701",
        "12&#32;Oak&#32;Street,&#32;Austin,&#32;TX&#32;78701",
        "MTIgT2FrIFN0cmVldCwgQXVzdGluLCBUWCA3ODcwMQ==",
    ],
)
def test_escapes_hide_nothing(escaped: str) -> None:
    assert found(f"https://maps.example/route?to={escaped}") == [escaped]


def test_an_escape_elsewhere_shows_no_address_twice() -> None:
    assert found("Fish &amp; chips at 12 Oak Street, Austin, TX 78701.") == ["12 Oak Street, Austin, TX 78701"]


@pytest.mark.parametrize(
    "content",
    [
        "https://shop.example/list?q=12%20oak%20chairs%2C%20delivered%20in%203%20days",
        "Y2hhcHRlciAzIG9mIHRoZSBPYWsgU3RyZWV0IHRyaWxvZ3kgaGFzIDIxMiBwYWdlcy4=",
    ],
)
def test_escaped_near_misses(content: str) -> None:
    assert found(content) == []


def test_lines_and_small_letters() -> None:
    assert found("Ana Reyes\n77 Cedar Avenue\nTulsa, OK 74103\n") == ["77 Cedar Avenue\nTulsa, OK 74103"]
    assert found("i am at 310 maple st denver co 80203") == ["310 maple st denver co 80203"]
