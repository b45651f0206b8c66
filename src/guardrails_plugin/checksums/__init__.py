"""Check digits of cards, accounts, identity numbers and wallets: the standards, without dependencies.

Every check takes the text as found (spaces, dots, dashes and slashes between the groups, either case) and says whether
length and check digits are right. None raises. A check digit proves nothing but that the digits fit together: one in
ten (Luhn) to one in 97 (IBAN) random numbers passes, so that shape and context still matter.
"""

from __future__ import annotations

import re

from guardrails_plugin.checksums.digits import compact
from guardrails_plugin.checksums.digits import digits_of as _digits
from guardrails_plugin.checksums.digits import is_day as _day
from guardrails_plugin.checksums.digits import weighted as _weighted
from guardrails_plugin.checksums.national import (
    ahv,
    amka,
    cnp_ro,
    cuit,
    egn,
    fodselsnummer,
    hkid,
    il_id,
    inn,
    ird,
    isikukood,
    nif_pt,
    nip,
    oib,
    pl_card,
    ppsn,
    rijksregister,
    rnokpp,
    rodne_cislo,
    rut,
    snils,
    svnr_at,
    tckn,
    th_id,
    tw_id,
    vat,
    vsnr_de,
)  # fmt: skip
from guardrails_plugin.checksums.wallets import base58check, bech32, bech32_long, eip55, monero, wif

__all__ = [
    "IBAN_LENGTHS", "aba", "abn", "acn", "ahv", "amka", "base58check", "bech32", "bech32_long", "bsn", "card", "cn_id",
    "cnp_ro", "cnpj", "codice_fiscale", "compact", "cpf", "cuit", "curp", "dea", "document_731", "egn", "eip55",
    "fodselsnummer", "hetu", "hkid", "iban", "il_id", "inn", "ird", "isikukood", "luhn", "luhn_digit", "medicare_au",
    "mod97_digits", "monero", "my_number", "nhs", "nie", "nif", "nif_pt", "nip", "nir", "npi", "nric", "oib",
    "personnummer", "pesel", "pl_card", "ppsn", "rijksregister", "rnokpp", "rodne_cislo", "rrn", "rut", "sin", "snils",
    "steuer_id", "svnr_at", "tckn", "tfn", "th_id", "tw_id", "vat", "verhoeff", "vin", "vsnr_de", "wif", "za_id",
]  # fmt: skip

IBAN_LENGTHS = {
    pair[:2]: pair[3:]
    for pair in (
        "AD:24 AE:23 AL:28 AT:20 AZ:28 BA:20 BE:16 BG:22 BH:22 BI:27 BR:29 BY:28 CH:21 CR:22 CY:28 CZ:24 DE:22 DJ:27 "
        "DK:18 DO:28 EE:20 EG:29 ES:24 FI:18 FK:18 FO:18 FR:27 GB:22 GE:22 GI:23 GL:18 GR:27 GT:28 HN:28 HR:21 HU:28 "
        "IE:22 IL:23 IQ:23 IS:26 IT:27 JO:30 KW:30 KZ:20 LB:28 LC:32 LI:21 LT:20 LU:20 LV:21 LY:25 MC:27 MD:24 ME:22 "
        "MK:19 MN:20 MR:27 MT:31 MU:30 NI:28 NL:18 NO:15 OM:23 PK:24 PL:28 PS:29 PT:25 QA:29 RO:24 RS:22 RU:33 SA:24 "
        "SC:31 SD:18 SE:24 SI:19 SK:24 SM:27 SO:23 ST:25 SV:28 TL:23 TN:24 TR:26 UA:29 VA:22 VG:24 XK:20 YE:30"
    ).split()
}
"""Length of an IBAN by country: SWIFT IBAN registry."""


def luhn(text: str) -> bool:
    """ISO/IEC 7812-1 annex B: double every second digit from the right."""
    digits = _digits(text)
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(digits) > 1 and any(digits) and (sum(digits[::-2]) + sum(doubled)) % 10 == 0


def luhn_digit(body: str) -> str:
    """The digit that makes ``body`` pass `luhn`.

    >>> luhn_digit("411111111111111")
    '1'
    """
    digits = _digits(body)
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[::-2])
    return str(-(sum(digits[-2::-2]) + sum(doubled)) % 10)


def card(text: str) -> bool:
    """Payment cards: Luhn, 13 to 19 digits, not one digit repeated."""
    return len(set(_digits(text, *range(13, 20)))) > 1 and luhn(text)


def mod97_digits(country: str, bban: str) -> str:
    """ISO 13616 / ISO 7064 mod 97-10: the two check digits of an IBAN.

    >>> mod97_digits("GB", "WEST12345698765432")
    '82'
    """
    return f"{98 - _base36(compact(bban) + compact(country) + '00') % 97:02d}"


def _base36(text: str) -> int:
    """The number that arises when A..Z are written 10..35."""
    return int("".join(str(int(char, 36)) for char in text) or "0")


def iban(text: str) -> bool:
    """ISO 13616: known country, its length, mod 97 = 1."""
    plain = compact(text)
    if not re.fullmatch(r"[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}", plain):
        return False
    return IBAN_LENGTHS.get(plain[:2]) == str(len(plain)) and _base36(plain[4:] + plain[:4]) % 97 == 1


def aba(text: str) -> bool:
    """ABA routing number: weights 3-7-1, and a Federal Reserve prefix (00-12, 21-32, 61-72, 80)."""
    digits = _digits(text, 9)
    prefix = digits[0] * 10 + digits[1] if digits else -1
    known = 0 <= prefix <= 12 or 21 <= prefix <= 32 or 61 <= prefix <= 72 or prefix == 80
    return known and any(digits) and _weighted(digits, (3, 7, 1) * 3) % 10 == 0


def nhs(text: str) -> bool:
    """NHS number (England, Wales): weights 10..2, 11 minus the rest; NHS Data Model and Dictionary."""
    digits = _digits(text, 10)
    return len(set(digits)) > 1 and (11 - _weighted(digits, range(10, 1, -1)) % 11) % 11 == digits[9]


def npi(text: str) -> bool:
    """US National Provider Identifier: Luhn over 80840 and the number; 45 CFR 162.406."""
    return len(_digits(text, 10)) == 10 and compact(text)[0] in "12" and luhn("80840" + compact(text))


def dea(text: str) -> bool:
    """US DEA registration: (d1+d3+d5) + 2(d2+d4+d6) ends in d7; DEA Diversion Control."""
    plain = compact(text)
    digits = _digits(plain[2:], 7)
    return plain[:1].isalpha() and bool(digits) and _weighted(digits, (1, 2, 1, 2, 1, 2)) % 10 == digits[6]


_PERMUTED = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(text: str) -> bool:
    """Verhoeff's dihedral check (Aadhaar): 12 digits, the first 2..9; UIDAI."""
    digits = _digits(text, 12)
    if not digits or digits[0] < 2:
        return False
    check = 0
    for position, digit in enumerate(reversed(digits)):
        for _ in range(position % 8):
            digit = _PERMUTED[digit]  # noqa: PLW2901 - permuted `position` times
        check = _dihedral(check, digit)
    return check == 0


def _dihedral(a: int, b: int) -> int:
    """Product in the dihedral group D5: 0..4 rotations, 5..9 reflections."""
    return (a + b if a < 5 else a - b) % 5 + 5 * ((a < 5) == (b >= 5))


def tfn(text: str) -> bool:
    """Australian tax file number: weights 1 4 3 7 5 8 6 9 10, mod 11; ATO."""
    digits = _digits(text, 9)
    return any(digits) and _weighted(digits, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def abn(text: str) -> bool:
    """Australian business number: first digit less one, weights 10 1 3 .. 19, mod 89; ABR."""
    digits = _digits(text, 11)
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return bool(digits) and digits[0] > 0 and (_weighted(digits, weights) - 10) % 89 == 0


def acn(text: str) -> bool:
    """Australian company number: weights 8..1, mod 10; ASIC."""
    digits = _digits(text, 9)
    return any(digits) and -_weighted(digits, range(8, 0, -1)) % 10 == digits[8]


def medicare_au(text: str) -> bool:
    """Australian Medicare card: first digit 2..6, weights 1 3 7 9, then issue and optional person number."""
    digits = _digits(text, 10, 11)
    return bool(digits) and 2 <= digits[0] <= 6 and _weighted(digits, (1, 3, 7, 9) * 2) % 10 == digits[8]


def sin(text: str) -> bool:
    """Canadian social insurance number: Luhn; none begins with 0 or 8 (Service Canada)."""
    return len(_digits(text, 9)) == 9 and compact(text)[0] not in "08" and luhn(text)


def nif(text: str) -> bool:
    """Spanish DNI/NIF: letter number n mod 23 of TRWAGMYFPDXBNJZSQVHLCKE; Ministerio del Interior."""
    plain = compact(text)
    return len(_digits(plain[:-1], 8)) == 8 and plain[-1] == "TRWAGMYFPDXBNJZSQVHLCKE"[int(plain[:-1]) % 23]


def nie(text: str) -> bool:
    """Spanish foreigner's number: X, Y, Z read 0, 1, 2, then as `nif`."""
    plain = compact(text)
    return plain[:1] in tuple("XYZ") and nif(f"{'XYZ'.index(plain[0])}{plain[1:]}")


_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)


def codice_fiscale(text: str) -> bool:
    """Italian tax code of persons: letter from the odd and even tables; DM 23 December 1976."""
    plain = compact(text)
    if not re.fullmatch(r"[A-Z0-9]{15}[A-Z]", plain):
        return False
    places = [int(char, 36) - (0 if char.isdigit() else 10) for char in plain]
    return (sum(_ODD[p] for p in places[:15:2]) + sum(places[1:15:2])) % 26 == places[15]


def nir(text: str) -> bool:
    """French social security number with key: 97 - n mod 97, Corsica 2A and 2B read 19 and 18; INSEE."""
    plain = compact(text)
    plain = plain[:5] + plain[5:7].replace("2A", "19").replace("2B", "18") + plain[7:]
    return len(_digits(plain, 15)) == 15 and 97 - int(plain[:13]) % 97 == int(plain[13:])


def steuer_id(text: str) -> bool:
    """German tax id: ISO 7064 mod 11,10; of the first ten digits exactly one comes twice or thrice; BZSt."""
    digits = _digits(text, 11)
    counts = sorted(map(digits[:10].count, set(digits[:10])))
    if not digits or digits[0] == 0 or counts[-1] not in (2, 3) or counts[-2] > 1:
        return False
    product = 10
    for digit in digits[:10]:
        product = 2 * ((digit + product) % 10 or 10) % 11
    return (11 - product) % 10 == digits[10]


def document_731(text: str) -> bool:
    """German identity card or passport number of nine characters and its check digit: weights 7-3-1; ICAO 9303-3."""
    plain = compact(text)
    if not re.fullmatch(r"[A-Z0-9]{9}[0-9]", plain):
        return False
    return _weighted((int(char, 36) for char in plain[:9]), (7, 3, 1) * 3) % 10 == int(plain[9])


def bsn(text: str) -> bool:
    """Dutch citizen service number: the "elfproef", weights 9..2 and -1; RvIG."""
    digits = _digits(text, 9)
    return any(digits) and _weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pesel(text: str) -> bool:
    """Polish PESEL: weights 1 3 7 9, and a day of birth (the century is added to the month); gov.pl."""
    digits = _digits(text, 11)
    if not digits or -_weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3)) % 10 != digits[10]:
        return False
    return _day(f"{(digits[2] * 10 + digits[3]) % 20:02d}{digits[4]}{digits[5]}")


def cpf(text: str) -> bool:
    """Brazilian CPF: two mod 11 digits; Receita Federal."""
    digits = _digits(text, 11)
    if len(set(digits)) < 2:
        return False
    return all(_weighted(digits, range(n + 1, 1, -1)) * 10 % 11 % 10 == digits[n] for n in (9, 10))


def cnpj(text: str) -> bool:
    """Brazilian CNPJ, numeric or alphanumeric (from July 2026): two mod 11 digits; Receita Federal IN 2229/2024."""
    plain = compact(text)
    if not re.fullmatch(r"[A-Z0-9]{12}[0-9]{2}", plain) or len(set(plain)) < 2:
        return False
    values = [ord(char) - 48 for char in plain]
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return all(-_weighted(values[:n], weights[13 - n :]) % 11 % 10 == values[n] for n in (12, 13))


def curp(text: str) -> bool:
    """Mexican CURP: weights 18..2 over an alphabet with the letter enye; RENAPO."""
    plain = compact(text)
    alphabet = "0123456789ABCDEFGHIJKLMN\u00d1OPQRSTUVWXYZ"
    if not re.fullmatch(r"[A-Z\u00d1]{4}[0-9]{6}[A-Z\u00d1]{6}[A-Z0-9][0-9]", plain) or not _day(plain[6:10]):
        return False
    return -_weighted(map(alphabet.index, plain[:17]), range(18, 1, -1)) % 10 == int(plain[17])


def personnummer(text: str) -> bool:
    """Swedish personal or coordination number: Luhn over the last ten digits, day of birth (+60); Skatteverket."""
    plain = compact(text.replace("+", "-"))
    if len(_digits(plain, 10, 12)) == 0 or not luhn(plain[-10:]):
        return False
    day = int(plain[-6:-4])
    return _day(f"{plain[-8:-6]}{day - 60 if day > 60 else day:02d}")


def hetu(text: str) -> bool:
    """Finnish personal identity code: day of birth, century sign, letter number n mod 31; DVV."""
    found = re.fullmatch(r"(\d\d)(\d\d)(\d\d)[-+A-FU-Y](\d{3})([0-9A-Y])", text.strip().upper(), re.ASCII)
    if found is None or not _day(found[2] + found[1]):
        return False
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(found[1] + found[2] + found[3] + found[4]) % 31] == found[5]


def nric(text: str) -> bool:
    """Singapore NRIC and FIN: weights 2 7 6 5 4 3 2, a letter by series. ICA publishes no algorithm."""
    plain = compact(text)
    digits = _digits(plain[1:8], 7)
    if len(plain) != 9 or not digits or plain[0] not in "STFGM":
        return False
    letters = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}.get(plain[0], "XWUTRQPNMLK")
    total = _weighted(digits, (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(plain[0], 0)
    return letters[total % 11] == plain[8]


def rrn(text: str) -> bool:
    """Korean resident number: weights 2..9 2..5, day of birth. Numbers given since October 2020 have no check digit."""
    digits = _digits(text, 13)
    weights = (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5)
    return bool(digits) and (11 - _weighted(digits, weights) % 11) % 10 == digits[12] and _day(compact(text)[2:6])


def my_number(text: str) -> bool:
    """Japanese individual number: weights 2..7 2..6 from the right, mod 11; Ministry of Internal Affairs."""
    digits = _digits(text, 12)
    rest = _weighted(digits[-2::-1], (2, 3, 4, 5, 6, 7, 2, 3, 4, 5, 6)) % 11
    return len(set(digits)) > 1 and (0 if rest <= 1 else 11 - rest) == digits[11]


def cn_id(text: str) -> bool:
    """Chinese resident identity number: ISO 7064 mod 11-2 and a day of birth; GB 11643-1999."""
    plain = compact(text)
    digits = _digits(plain[:17], 17)
    if len(plain) != 18 or not digits or not _day(plain[10:14]):
        return False
    return "10X98765432"[_weighted(digits, (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11] == plain[17]


def za_id(text: str) -> bool:
    """South African identity number: Luhn, day of birth, citizenship 0..2; Department of Home Affairs."""
    plain = compact(text)
    return len(_digits(plain, 13)) == 13 and plain[10] in "012" and _day(plain[2:6]) and luhn(plain)


def vin(text: str) -> bool:
    """Vehicle identification number: check digit in ninth place (North America); 49 CFR 565.15."""
    plain = compact(text)
    if not re.fullmatch(r"[A-HJ-NPR-Z0-9]{17}", plain):
        return False
    values = ("0123456789.ABCDEFGH..JKLMN.P.R..STUVWXYZ".index(char) % 10 for char in plain)
    rest = _weighted(values, (8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return plain[8] == ("X" if rest == 10 else str(rest))
