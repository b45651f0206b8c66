"""Check digits of further national identity and tax numbers; see the package for what they promise."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from guardrails_plugin.checksums.digits import compact, digits_of, is_day, weighted

__all__ = [
    "ahv", "amka", "cnp_ro", "cuit", "egn", "fodselsnummer", "hkid", "il_id", "inn", "ird", "isikukood", "nif_pt",
    "nip", "oib", "pl_card", "ppsn", "rijksregister", "rnokpp", "rodne_cislo", "rut", "snils", "svnr_at", "tckn",
    "th_id", "tw_id", "vat", "vsnr_de",
]  # fmt: skip


def tckn(text: str) -> bool:
    """Turkish identity number: two digits from odd and even places; Law 5490 on population services."""
    d = digits_of(text, 11)
    if not d or d[0] == 0:
        return False
    return (7 * sum(d[0:9:2]) - sum(d[1:8:2])) % 10 == d[9] and sum(d[:10]) % 10 == d[10]


def ahv(text: str) -> bool:
    """Swiss AHV number: begins with 756, check digit of EAN-13; BSV."""
    d = digits_of(text, 13)
    return d[:3] == [7, 5, 6] and -(sum(d[0:12:2]) + 3 * sum(d[1:12:2])) % 10 == d[12]


def svnr_at(text: str) -> bool:
    """Austrian insurance number: weights 3 7 9 . 5 8 4 2 1 6, mod 11 in fourth place; Hauptverband."""
    d = digits_of(text, 10)
    return bool(d) and d[0] > 0 and weighted(d, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == d[3]


def rijksregister(text: str) -> bool:
    """Belgian national number: 97 less n mod 97, births since 2000 with 2 in front; Royal Decree 3 April 1984."""
    plain = "".join(map(str, digits_of(text, 11)))
    if not plain or not (plain[2:6] == "0000" or is_day(plain[2:6])):
        return False
    return int(plain[9:]) in (97 - int(plain[:9]) % 97, 97 - int("2" + plain[:9]) % 97)


def egn(text: str) -> bool:
    """Bulgarian citizen number: weights 2 4 8 5 10 9 7 3 6, mod 11; the month holds the century; GRAO."""
    d = digits_of(text, 10)
    if not d or weighted(d, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10 != d[9]:
        return False
    return is_day(f"{(10 * d[2] + d[3]) % 20:02d}{d[4]}{d[5]}")


def cnp_ro(text: str) -> bool:
    """Romanian personal code: weights 279146358279, mod 11 (10 reads 1), and a day of birth; Law 105/1996."""
    d = digits_of(text, 13)
    if not d or d[0] == 0 or not is_day("".join(map(str, d[3:7]))):
        return False
    rest = weighted(d, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return (1 if rest == 10 else rest) == d[12]


def oib(text: str) -> bool:
    """Croatian personal number: ISO 7064 mod 11,10; OIB Act."""
    return len(digits_of(text, 11)) == 11 and _mod_11_10(digits_of(text))


def _mod_11_10(d: list[int]) -> bool:
    product = 10
    for digit in d[:-1]:
        product = 2 * ((digit + product) % 10 or 10) % 11
    return (11 - product) % 10 == d[-1]


def nip(text: str) -> bool:
    """Polish tax number: weights 6 5 7 2 3 4 5 6 7, mod 11; Act of 13 October 1995."""
    d = digits_of(text, 10)
    return any(d) and weighted(d, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == d[9]


def pl_card(text: str) -> bool:
    """Polish identity card: letters read 10..35, weights 7 3 1 . 7 3 1 7 3, check digit in fourth place; MSWiA."""
    plain = compact(text)
    if not re.fullmatch(r"[A-Z]{3}[0-9]{6}", plain):
        return False
    values = [int(char, 36) for char in plain]
    return weighted(values, (7, 3, 1, 0, 7, 3, 1, 7, 3)) % 10 == values[3]


def fodselsnummer(text: str) -> bool:
    """Norwegian identity number: two mod 11 digits, and a day (+40: D-number); Skatteetaten, until 2032."""
    d = digits_of(text, 11)
    if not d or not is_day(f"{d[2]}{d[3]}{d[0] - 4 if d[0] > 3 else d[0]}{d[1]}"):
        return False
    one, two = (3, 7, 6, 1, 8, 9, 4, 5, 2), (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)
    return -weighted(d, one) % 11 == d[9] and -weighted(d, two) % 11 == d[10]


def rodne_cislo(text: str) -> bool:
    """Czech and Slovak birth number of ten digits: divisible by 11, month +50 (women), +20; Act 133/2000."""
    d = digits_of(text, 10)
    if not d:
        return False
    number = int("".join(map(str, d)))
    month = (10 * d[2] + d[3]) % 50 % 20
    return is_day(f"{month:02d}{d[4]}{d[5]}") and (number % 11 == 0 or (number // 10 % 11 == 10 and d[9] == 0))


def isikukood(text: str) -> bool:
    """Estonian (and Lithuanian) personal code: weights 1..9 1, then 3..9 1 2 3, mod 11; EVS 585."""
    d = digits_of(text, 11)
    if not d or not 1 <= d[0] <= 8 or not is_day("".join(map(str, d[3:7]))):
        return False
    rest = weighted(d, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if rest == 10:
        rest = weighted(d, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return rest == d[10]


def amka(text: str) -> bool:
    """Greek insurance number: a day of birth and Luhn over 11 digits; AMKA."""
    d = digits_of(text, 11)
    if not d or not is_day(f"{d[2]}{d[3]}{d[0]}{d[1]}"):
        return False
    return (sum(d[::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in d[-2::-2])) % 10 == 0


def ppsn(text: str) -> bool:
    """Irish PPS number: weights 8..2, ninth letter by 9, letter number n mod 23; Department of Social Protection."""
    found = re.fullmatch(r"([0-9]{7})([A-W])([A-IW]?)", compact(text))
    if found is None:
        return False
    extra = 0 if found[3] in ("", "W") else 9 * (ord(found[3]) - 64)
    return "WABCDEFGHIJKLMNOPQRSTUV"[(weighted(map(int, found[1]), range(8, 1, -1)) + extra) % 23] == found[2]


def il_id(text: str) -> bool:
    """Israeli identity number: Luhn over nine digits; Population and Immigration Authority."""
    d = digits_of(text, 9)
    return any(d) and sum(sum(divmod(digit * (1 + place % 2), 10)) for place, digit in enumerate(d)) % 10 == 0


def hkid(text: str) -> bool:
    """Hong Kong identity card: letters read 10..35, a missing first one 36, weights 9..1, mod 11; ImmD."""
    found = re.fullmatch(r"([A-Z]{1,2})([0-9]{6})\(?([0-9A])\)?", compact(text))
    if found is None:
        return False
    letters = [36] * (2 - len(found[1])) + [int(char, 36) for char in found[1]]
    values = [*letters, *map(int, found[2]), int(found[3], 16)]
    return weighted(values, range(9, 0, -1)) % 11 == 0


def tw_id(text: str) -> bool:
    """Taiwanese identity number: the letter read as two digits, weights 1 9..1 1, mod 10; Ministry of the Interior."""
    plain = compact(text)
    if not re.fullmatch(r"[A-Z][1289][0-9]{8}", plain):
        return False
    first = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(plain[0]) + 10
    values = [first // 10, first % 10, *map(int, plain[1:])]
    return weighted(values, (1, 9, 8, 7, 6, 5, 4, 3, 2, 1, 1)) % 10 == 0


def th_id(text: str) -> bool:
    """Thai identity number: weights 13..2, 11 less the rest; Department of Provincial Administration."""
    d = digits_of(text, 13)
    return bool(d) and d[0] > 0 and (11 - weighted(d, range(13, 1, -1)) % 11) % 10 == d[12]


def rut(text: str) -> bool:
    """Chilean RUT: weights 2..7 from the right, mod 11, K for ten; Registro Civil."""
    found = re.fullmatch(r"([0-9]{7,8})([0-9K])", compact(text))
    if found is None:
        return False
    total = weighted(map(int, reversed(found[1])), (2, 3, 4, 5, 6, 7, 2, 3))
    return "0123456789K"[-total % 11] == found[2]


def cuit(text: str) -> bool:
    """Argentine CUIT or CUIL: weights 5432765432, mod 11; AFIP."""
    d = digits_of(text, 11)
    known = d[:2] in ([2, 0], [2, 3], [2, 4], [2, 5], [2, 6], [2, 7], [3, 0], [3, 3], [3, 4])
    return known and -weighted(d, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11 == d[10]


def inn(text: str) -> bool:
    """Russian taxpayer number, 12 digits (persons) or 10 (firms): mod 11 digits; FNS order MMV-7-6/435."""
    d = digits_of(text, 10, 12)
    weights = (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)
    return any(d) and all(
        weighted(d, weights[-place:]) % 11 % 10 == d[place] for place in ((9,) if len(d) == 10 else (10, 11))
    )


def snils(text: str) -> bool:
    """Russian insurance number: weights 9..1, mod 101; Pension Fund, order 485p."""
    d = digits_of(text, 11)
    return any(d) and weighted(d, range(9, 0, -1)) % 101 % 100 == 10 * d[9] + d[10]


def rnokpp(text: str) -> bool:
    """Ukrainian taxpayer number: weights -1 5 7 9 4 6 10 5 7, mod 11; Ministry of Finance order 822."""
    d = digits_of(text, 10)
    return any(d) and weighted(d, (-1, 5, 7, 9, 4, 6, 10, 5, 7)) % 11 % 10 == d[9]


def nif_pt(text: str) -> bool:
    """Portuguese tax number: weights 9..2, mod 11; AT."""
    d = digits_of(text, 9)
    return bool(d) and d[0] in (1, 2, 3, 5, 6, 7, 8, 9) and (11 - weighted(d, range(9, 1, -1)) % 11) % 11 % 10 == d[8]


def ird(text: str) -> bool:
    """New Zealand tax number: weights 3 2 7 6 5 4 3 2, then 7 4 3 2 5 2 7 6, mod 11; Inland Revenue."""
    d = digits_of(text, 8, 9)
    if not d or not 10_000_000 < int("".join(map(str, d))) < 200_000_000:
        return False
    d = [0] * (9 - len(d)) + d
    check = -weighted(d, (3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return (check if check < 10 else -weighted(d, (7, 4, 3, 2, 5, 2, 7, 6)) % 11) == d[8]


def vsnr_de(text: str) -> bool:
    """German insurance number: the letter as two digits, weights 2 1 2 5 7 1 2 1 2 1 2 1, digit sums; VKVV 4."""
    plain = compact(text)
    if not re.fullmatch(r"[0-9]{8}[A-Z][0-9]{3}", plain):
        return False
    values = [int(digit) for digit in f"{plain[:8]}{ord(plain[8]) - 64:02d}{plain[9:]}"]
    products = (digit * weight for digit, weight in zip(values, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=False))
    return sum(sum(divmod(product, 10)) for product in products) % 10 == values[12]


def vat(text: str) -> bool:
    """VAT numbers of the EU, Great Britain, Norway and Switzerland: the country's shape, and its check where known.

    Source: European Commission, VIES, structures of VAT numbers; checks as national authorities publish them.
    """
    plain = re.sub(r"[^A-Z0-9]", "", text.upper())
    shape, check = _VAT.get(plain[:2] if plain[:3] != "CHE" else "CHE", ("(?!)", None))
    number = plain[3:] if plain[:3] == "CHE" else plain[2:]
    return bool(re.fullmatch(shape, number)) and (check is None or check(number))


def _vat_be(number: str) -> bool:
    return 97 - int(number[:8]) % 97 == int(number[8:])


def _vat_de(number: str) -> bool:
    return number[0] != "0" and _mod_11_10(digits_of(number))


def _vat_dk(number: str) -> bool:
    return weighted(digits_of(number), (2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def _vat_fr(number: str) -> bool:
    return not number[:2].isdigit() or (12 + 3 * (int(number[2:]) % 97)) % 97 == int(number[:2])


def _vat_gb(number: str) -> bool:
    total = weighted(digits_of(number[:9]), (8, 7, 6, 5, 4, 3, 2, 10, 1))
    return total % 97 == 0 or (total + 55) % 97 == 0


def _luhn(number: str) -> bool:
    d = digits_of(number)
    return (sum(d[::-2]) + sum(sum(divmod(2 * digit, 10)) for digit in d[-2::-2])) % 10 == 0


_VAT: Mapping[str, tuple[str, Callable[[str], bool] | None]] = {
    "AT": ("U[0-9]{8}", None), "BE": ("[01][0-9]{9}", _vat_be), "BG": ("[0-9]{9,10}", None),
    "CHE": ("[0-9]{9}(?:MWST|TVA|IVA)?", None), "CY": ("[0-9]{8}[A-Z]", None), "CZ": ("[0-9]{8,10}", None),
    "DE": ("[0-9]{9}", _vat_de), "DK": ("[0-9]{8}", _vat_dk), "EE": ("[0-9]{9}", None), "EL": ("[0-9]{9}", None),
    "ES": ("[A-Z0-9][0-9]{7}[A-Z0-9]", None), "FI": ("[0-9]{8}", None), "FR": ("[A-HJ-NP-Z0-9]{2}[0-9]{9}", _vat_fr),
    "GB": ("[0-9]{9}(?:[0-9]{3})?", _vat_gb), "HR": ("[0-9]{11}", oib), "HU": ("[0-9]{8}", None),
    "IE": ("[0-9][A-Z0-9+*][0-9]{5}[A-Z]{1,2}", None), "IT": ("[0-9]{11}", _luhn),
    "LT": ("[0-9]{9}(?:[0-9]{3})?", None), "LU": ("[0-9]{8}", None), "LV": ("[0-9]{11}", None),
    "MT": ("[0-9]{8}", None), "NL": ("[0-9]{9}B[0-9]{2}", None), "NO": ("[0-9]{9}(?:MVA)?", None),
    "PL": ("[0-9]{10}", nip),
    "PT": ("[0-9]{9}", nif_pt), "RO": ("[0-9]{6,10}", None), "SE": ("[0-9]{10}01", lambda number: _luhn(number[:10])),
    "SI": ("[0-9]{8}", None), "SK": ("[0-9]{10}", None),
}  # fmt: skip
