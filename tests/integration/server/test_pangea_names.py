"""Every entity type that the product's contract names can be given an action, and none resolves to nothing."""

from __future__ import annotations

import pytest

from guardrails_plugin import Recipe, Stage, registry
from guardrails_plugin.server.problems import ApiError
from guardrails_plugin.server.routers.pangea.overrides import overridden
from guardrails_plugin.server.routers.pangea.recipes import Chosen

PII = (
    "email_address nrp location person phone_number date_time ip_address url money credit_card crypto iban_code"
    " us_bank_number nif au_abn au_acn au_tfn medical_license uk_nhs au_medicare us_drivers_license us_itin us_passport"
    " us_ssn"
)
SECRETS = (
    "slack_token rsa_private_key ssh_dsa_private_key ssh_ec_private_key pgp_private_key_block amazon_aws_access_key_id"
    " amazon_aws_secret_access_key amazon_mws_auth_token facebook_access_token github_access_token jwt_token"
    " google_api_key google_cloud_platform_api_key google_drive_api_key google_cloud_platform_service_account"
    " google_gmail_api_key youtube_api_key mailchimp_api_key mailgun_api_key basic_auth picatic_api_key slack_webhook"
    " stripe_api_key stripe_restricted_api_key square_access_token square_oauth_secret twilio_api_key pangea_token"
)
NAMES = [*(("pii_entity", name) for name in PII.split()), *(("secrets_detection", name) for name in SECRETS.split())]

VALID = {
    "pii": registry.load("detectors", "pii")(optional=("DATE_TIME", "MONEY", "URL")).entity_types,
    "secrets": registry.load("detectors", "secrets")().entity_types,
    "named_entities": frozenset({"PERSON", "ORGANIZATION", "LOCATION", "NRP"}),
}
"""What each detector can find, with what it looks for only where it is named."""

EMPTY = Chosen("mine", Stage.PROMPT, Recipe(name="mine", stage=Stage.PROMPT, rules=()))


@pytest.mark.parametrize(("detector", "name"), NAMES)
def test_every_name_becomes_an_action_for_types_that_exist(detector: str, name: str) -> None:
    rules = overridden(EMPTY, {detector: {name: "block"}}).recipe.rules
    blocked = [(rule.detector, kind) for rule in rules for kind, action in rule.actions.items() if action == "block"]
    assert blocked
    assert not [kind for own, kind in blocked if kind not in VALID[own]]


def test_another_name_is_refused() -> None:
    with pytest.raises(ApiError):
        overridden(EMPTY, {"pii_entity": {"shoe_size": "block"}})
