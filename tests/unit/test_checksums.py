"""Check digits: published valid numbers pass, every single wrong digit is noticed, nothing raises."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import checksums as c

Check = Callable[[str], bool]

VALID: dict[Check, list[str]] = {
    c.aba: ["021000021", "121000358", "026009593"],
    c.abn: ["51 824 753 556", "83914571673"],
    c.acn: ["004 085 616", "000 000 019"],
    c.ahv: ["7560402068846", "756.0719.9165.33"],
    c.amka: ["12038562422", "01019095643"],
    c.monero: [
        "44AFFq5kSiGBoZ4NMDwYtN18obc8AemS33DBLWs3H7otXft3XjrpDtQGv7SqSsaBYBb98uNbr2VBBEt7f2wfn3RVGQBEP3A",
    ],
    c.bech32_long: [
        "addr1qx2fxv2umyhttkxyxp8x0dlpdt3k6cwng5pxj3jhsydzer3n0d3vllmyqwsx5wktcd8cc3sq835lu7drv2xwl2wywfgse35a3x",
    ],
    c.base58check: ["1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy"],
    c.bech32: [
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
    ],
    c.bsn: ["111222333", "123456782"],
    c.card: ["4111 1111 1111 1111", "378282246310005", "5555-5555-5555-4444", "6011111111111117", "30569309025904"],
    c.cn_id: ["11010519491231002X", "11010519491231002x"],
    c.cnp_ro: ["1850319266121", "2901123482101"],
    c.cnpj: ["16.727.230/0001-97", "12.ABC.345/01DE-35"],
    c.codice_fiscale: ["RSSMRA85T10A562S", "rssmra85t10a562s"],
    c.cpf: ["390.533.447-05", "39053344705"],
    c.cuit: ["20885807810", "27-81551107-2"],
    c.curp: ["BOXW310820HNERXN09"],
    c.dea: ["AB1234563", "F91234563"],
    c.document_731: ["L01X00T471", "T220001293"],
    c.egn: ["8503011866", "7211249248"],
    c.eip55: ["0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359"],
    c.fodselsnummer: ["12038575722", "010190 23318"],
    c.hetu: ["131052-308T", "131052A308T"],
    c.hkid: ["K889807(3)", "A681241(7)"],
    c.iban: ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR1420041010050500013M02606", "NO9386011117947"],
    c.il_id: ["359327491", "084862481"],
    c.inn: ["770049269140", "5028992026"],
    c.ird: ["175469869", "036-376-317"],
    c.isikukood: ["38503199548", "49007210609"],
    c.luhn: ["79927398713", "4111111111111111"],
    c.medicare_au: ["2123 45670 1", "2123456701"],
    c.my_number: ["123456789018"],
    c.nhs: ["943 476 5919", "9434765919"],
    c.nie: ["X1234567L", "X-1234567-L"],
    c.nif: ["12345678Z", "12345678-z"],
    c.nif_pt: ["277900239", "238 369 480"],
    c.nip: ["5212541683", "526-835-06-38"],
    c.nir: ["2 55 08 14 168 025 38", "253072B07300470"],
    c.npi: ["1234567893", "1245319599"],
    c.nric: ["S1234567D", "T1234567J", "F1234567N", "G1234567X", "M1234567K"],
    c.oib: ["47887041669", "76336464883"],
    c.personnummer: ["811228-9874", "19811228-9874", "8112289874", "811228+9874"],
    c.pesel: ["44051401359", "02070803628"],
    c.pl_card: ["ABC399040", "CDE 177787"],
    c.ppsn: ["8602927K", "3009888LA"],
    c.rijksregister: ["85041248793", "90.07.15-871.36"],
    c.rnokpp: ["3573916247", "2568392763"],
    c.rodne_cislo: ["850412/7357", "9055232362"],
    c.rrn: ["971013-9019902"],
    c.rut: ["12.737.879-7", "9139342-5"],
    c.sin: ["130 692 544", "130-692-544"],
    c.snils: ["19690132194", "148-016-489 62"],
    c.steuer_id: ["86 095 742 719", "36574261809"],
    c.svnr_at: ["2950010180", "8158 120375"],
    c.tckn: ["14189547638", "45416782232"],
    c.tfn: ["123 456 782"],
    c.th_id: ["1598630402249", "3-6548-24260-42-5"],
    c.tw_id: ["A140519338", "F233278212"],
    c.vat: ["GB578488666", "DE994104424", "IT52089949920", "FR 45 091 678 591", "NL716704691B01", "ATU55895004"],
    c.verhoeff: ["999941057058", "2341 2341 2346"],
    c.vin: ["1HGCM82633A004352", "1M8GDM9AXKP042788", "11111111111111111"],
    c.vsnr_de: ["12150380J118", "65 010190 M 612"],
    c.wif: ["KyX815PhEGr6ySbWf5Po5if8NNoSwBKr1zoUMUjWwPAADUBbhx6o"],
    c.za_id: ["8001015009087"],
}
"""Test numbers of issuers, standards and statutes, or made up to fit."""

WEAK = {c.medicare_au, c.bech32, c.vat, c.amka, c.ppsn}
"""Issue numbers are not covered by the check; bech32 has a test of its own."""

SURE = {c.aba, c.bsn, c.card, c.cn_id, c.iban, c.luhn, c.nhs, c.npi, c.sin, c.tfn, c.verhoeff, c.abn, c.document_731}


def name(value: object) -> str:
    return getattr(value, "__name__", str(value))


CASES = [(check, number) for check, numbers in VALID.items() for number in numbers]


def test_every_check_has_valid_numbers() -> None:
    named = {each for each in c.__all__ if each.islower()} - {"compact", "luhn_digit", "mod97_digits"}
    assert named == {check.__name__ for check in VALID}


@pytest.mark.parametrize(("check", "number"), CASES, ids=name)
def test_valid_numbers_pass(check: Check, number: str) -> None:
    assert check(number)


@pytest.mark.parametrize(("check", "number"), [case for case in CASES if case[0] not in WEAK], ids=name)
def test_a_wrong_digit_is_noticed(check: Check, number: str) -> None:
    """Luhn and the like notice each one; mod 10 with even weights and two remainders for one digit miss some."""
    wrong = [
        number[:index] + digit + number[index + 1 :]
        for index, char in enumerate(number)
        for digit in "0123456789"
        if char.isdigit() and digit != char
    ]
    noticed = sum(not check(text) for text in wrong) / len(wrong)
    assert noticed >= (1 if check in SURE else 0.8)


@pytest.mark.parametrize(("check", "number"), CASES, ids=name)
def test_length_matters(check: Check, number: str) -> None:
    assert not check("")
    assert check in (c.luhn, c.card) or not check(number + "00")


@pytest.mark.parametrize("check", VALID, ids=name)
@given(text=st.text() | st.text("0123456789XABCZ -./", max_size=30))
def test_nothing_raises(check: Check, text: str) -> None:
    assert check(text) in (True, False)


@given(st.text("0123456789", min_size=1, max_size=18).filter(lambda body: int(body) > 0))
def test_luhn_digit_completes(body: str) -> None:
    assert c.luhn(body + c.luhn_digit(body))


@given(st.sampled_from(["GB", "DE", "NL", "NO", "MT"]), st.data())
def test_mod97_digits_complete(country: str, data: st.DataObject) -> None:
    size = int(c.IBAN_LENGTHS[country]) - 4
    bban = data.draw(st.text("0123456789ABCXYZ", min_size=size, max_size=size))
    assert c.iban(country + c.mod97_digits(country, bban) + bban)


@pytest.mark.parametrize(
    ("check", "number"),
    [
        (c.card, "0000 0000 0000 0000"), (c.card, "79927398713"), (c.luhn, "0"), (c.luhn, "000000"),
        (c.aba, "991000021"), (c.aba, "000000000"), (c.nhs, "0000000000"), (c.npi, "3234567893"),
        (c.sin, "046 454 286"), (c.cpf, "111.111.111-11"), (c.cnpj, "00.000.000/0000-00"), (c.verhoeff, "000000000000"),
        (c.pesel, "44131401350"), (c.hetu, "321352-308T"), (c.nric, "A1234567D"), (c.vin, "1HGCM8263IA004352"),
        (c.bech32, "bc1Qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"), (c.base58check, "0A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
        (c.iban, "XX82WEST12345698765432"), (c.bsn, "000000000"),
        (c.steuer_id, "12345678901"), (c.za_id, "8013015009087"),
    ],
)  # fmt: skip
def test_near_misses_fail(check: Check, number: str) -> None:
    assert not check(number)


def test_an_ethereum_address_of_one_case_has_no_check() -> None:
    for body in ("de709f2102306220921060314715629080e2fb77", "5AAEB6053F3E94C9B9A09F33669435E7EF1BEAED"):
        assert c.eip55(f"0x{body}")
        assert not c.eip55(f"0x{body[:-1]}")
