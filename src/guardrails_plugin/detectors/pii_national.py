"""National identity numbers: which entity types of `pii` other products report under the one name NATIONAL_ID."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["NATIONAL_IDS"]

NATIONAL_IDS: Mapping[str, str] = MappingProxyType(
    dict.fromkeys(
        (
            "CA_SIN", "UK_NHS", "AU_TFN", "IN_AADHAAR", "IN_PAN", "ES_NIF", "ES_NIE", "IT_FISCAL_CODE", "FR_NIR",
            "DE_TAX_ID", "DE_ID_CARD", "NL_BSN", "PL_PESEL", "SE_PERSONNUMMER", "FI_HETU", "BR_CPF", "MX_CURP",
            "SG_NRIC", "KR_RRN", "JP_MY_NUMBER", "CN_RESIDENT_ID", "ZA_ID", "TR_TCKN", "CH_AHV", "AT_SVNR",
            "BE_NATIONAL_NUMBER", "BG_EGN", "RO_CNP", "HR_OIB", "NO_FODSELSNUMMER", "DK_CPR", "CZ_RODNE_CISLO",
            "EE_ISIKUKOOD", "GR_AMKA", "IE_PPSN", "IL_ID", "HK_ID", "TW_NATIONAL_ID", "TH_NATIONAL_ID", "CL_RUT",
            "AR_CUIT", "RU_INN", "RU_SNILS", "UA_TAX_ID", "PT_NIF", "NZ_IRD", "DE_SOCIAL_SECURITY", "PL_ID_CARD",
            "DE_TAX_NUMBER", "CEDULA",
        ),
        "NATIONAL_ID",
    )
)  # fmt: skip
"""Our type to NATIONAL_ID: a number that identifies a person to a state.

Those with a documented type of their own (US_SSN, US_ITIN, UK_NATIONAL_INSURANCE_NUMBER, passports) and those of
companies (AU_ABN, AU_ACN, BR_CNPJ) are not among them.
"""
