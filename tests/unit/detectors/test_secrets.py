"""`Secrets`: every row of its table, what must stay silent, and its settings."""

from __future__ import annotations

import base64
import json
import random
import re
import string
import zlib
from itertools import pairwise

import pytest

from guardrails_plugin import Engine
from guardrails_plugin.detectors.examples import expand
from guardrails_plugin.detectors.secrets import Secrets
from guardrails_plugin.detectors.table import load_table
from guardrails_plugin.matching import Pattern
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment
from tests.strategies import NO_MODEL

ALL = Secrets()
ROWS = {row.id: row for row in ALL.patterns}
CATEGORIES = ("keys", "private_keys", "connection_strings", "generic", "weak")
GENERIC = {row.id for row in ALL.patterns if row.extra.get("category") == "generic"}


def find(text: str, detector: Secrets = ALL, hint: str = "") -> tuple[Finding, ...]:
    return tuple(detector.detect([normalize(Segment(text, Origin.USER, hint))], NO_CONTEXT)[0])


def rules(text: str, hint: str = "") -> set[str]:
    return {str(finding.evidence["rule"]) for finding in find(text, hint=hint)}


def examples(kind: str) -> list[object]:
    return [
        pytest.param(row, expand(template), id=f"{row.id}-{number}")
        for row in ALL.patterns
        for number, template in enumerate(row.extra[kind])
    ]


@pytest.mark.parametrize(("row", "text"), examples("good"))
def test_good_example_is_found_as_its_type_and_no_other(row: Pattern, text: str) -> None:
    everything = find(text, hint=row.extra.get("hint", ""))
    found = [finding for finding in everything if finding.entity_type == row.entity_type]
    assert found, "nothing of this type"
    assert all(0 < finding.score <= 1 for finding in found)
    if row.id not in GENERIC:
        specific = {finding.entity_type for finding in find(text) if finding.evidence["rule"] not in GENERIC}
        assert specific <= {row.entity_type, *row.extra.get("also", ())}


@pytest.mark.parametrize(("row", "text"), examples("bad"))
def test_bad_example_is_not_found_by_its_row(row: Pattern, text: str) -> None:
    assert row.id not in rules(text, row.extra.get("hint", ""))


@pytest.mark.parametrize("row", [row for row in ALL.patterns if "near" in row.extra], ids=lambda row: row.id)
def test_value_behind_a_name_is_found_whole(row: Pattern) -> None:
    text = expand(row.extra["good"][0])
    value = text.rstrip('"').rpartition('"')[2] if text.endswith('"') else text.rpartition("=")[2]
    spans = [text[finding.start : finding.end] for finding in find(text) if finding.entity_type == row.entity_type]
    assert value in spans


@pytest.mark.parametrize("row", ALL.patterns, ids=lambda row: row.id)
def test_row_is_documented_bounded_and_gated(row: Pattern) -> None:
    assert row.gating is not None
    assert row.width is not None or row.extra["category"] == "private_keys"
    assert "(?i)" not in row.regex
    assert re.fullmatch(r"[A-Z][A-Z0-9_]+", row.entity_type)
    assert re.fullmatch(r"[a-z][a-z0-9_]+", row.id)
    assert row.extra["issuer"]
    assert row.extra["source"].startswith("https://")
    assert row.extra["good"]
    assert row.extra["bad"]
    assert row.extra.get("category", "keys") in CATEGORIES


def test_more_than_300_issuers_are_known() -> None:
    assert len({row.extra["issuer"].casefold() for row in ALL.patterns}) >= 300


def test_table_holds_no_literal_token() -> None:
    """Examples are templates: nothing that looks live stands in the repository."""
    for row in load_table("secrets"):
        for template in (*row.extra["good"], *row.extra["bad"]):
            runs = re.findall(r"[A-Za-z0-9]{40,}", re.sub(r"\{\w+:\d+\}|\bey\w+", " ", template))
            assert all(len(set(run)) < 30 for run in runs), row.id


@pytest.mark.parametrize(
    ("template", "entity_type"),
    [
        ("my key is «AKIA{ALNUM:16}», keep it", "AWS_ACCESS_KEY_ID"),
        ("aws_secret_access_key = «{b64:40}»\n", "AWS_SECRET_ACCESS_KEY"),
        ("git clone https://x:«ghp_{alnum:36}»@github.com/a/b", "GITHUB_TOKEN"),
        ('{"token": "«glpat-{b64url:20}»"}', "GITLAB_TOKEN"),
        ("export OPENAI_API_KEY='«sk-proj-{alnum:64}»'", "OPENAI_API_KEY"),
        ("(«sk-ant-api03-{alnum:93}»)", "ANTHROPIC_API_KEY"),
        ("Stripe: «sk_live_{alnum:24}».", "STRIPE_SECRET_KEY"),
        ("SLACK=«xoxb-{digit:12}-{digit:12}-{alnum:24}»;", "SLACK_TOKEN"),
        ("https://hooks.slack.com/services/«T{ALNUM:8}/B{ALNUM:8}/{alnum:24}»", "SLACK_WEBHOOK"),
        ("bot«{digit:10}:AA{b64url:33}»/sendMessage", "TELEGRAM_BOT_TOKEN"),
        ("postgres: «postgresql://app:{alnum:12}@db.corp.net:5432/main»", "CONNECTION_STRING"),
        ("curl https://robot:«{alnum:14}»@registry.corp.net/v2/", "URL_PASSWORD"),
        ("Server=db;User Id=sa;Password=«{alnum:14}»;Encrypt=True", "CONNECTION_STRING"),
        ("Authorization: Bearer «{alnum:40}»", "AUTHORIZATION_HEADER"),
        ("the password is «q8tR4{alnum:6}!x».", "GENERIC_SECRET"),
        ('api_key = "«{alnum:32}»"', "GENERIC_SECRET"),
        ("?access_token=«{hex:40}»&page=2", "GENERIC_SECRET"),
        ("DATADOG_API_KEY=«{hex:32}»", "DATADOG_API_KEY"),
        ("heroku: {'key': '«{hex:8}-{hex:4}-{hex:4}-{hex:4}-{hex:12}»'}", "HEROKU_API_KEY"),
        ("<clientSecret>«{alnum:3}8Q~{alnum:34}»</clientSecret>", "AZURE_CLIENT_SECRET"),
    ],
)
def test_value_stands_where_it_is_marked(template: str, entity_type: str) -> None:
    before, value, after = re.split("[«»]", expand(template))
    span = (len(before), len(before) + len(value))
    found = find(before + value + after)
    assert span in [(finding.start, finding.end) for finding in found if finding.entity_type == entity_type]


def test_private_keys_are_found_whole_or_cut_off() -> None:
    body = expand("\n{b64:64}" * 20)
    head, tail = "-----BEGIN RSA PRIVATE KEY-----", "\n-----END RSA PRIVATE KEY-----"
    whole, cut = f"{head}{body}{tail}", f"{head}{body}"
    escaped = json.dumps({"type": "service_account", "private_key": whole})
    for text, secret in ((f"see\n{whole}\nend", whole), (f"see\n{cut}", cut), (escaped, json.dumps(whole)[1:-1])):
        (found,) = [finding for finding in find(text) if finding.entity_type == "PRIVATE_KEY"]
        assert text[found.start : found.end] == secret
    assert not find("A key file begins with -----BEGIN RSA PRIVATE KEY----- and ends with -----END ...")


def test_two_private_keys_are_two_findings() -> None:
    key = expand("-----BEGIN EC PRIVATE KEY-----\n{b64:64}\n{b64:64}\n-----END EC PRIVATE KEY-----\n")
    assert len([f for f in find(key + "and\n" + key) if f.entity_type == "PRIVATE_KEY"]) == 2


@pytest.mark.parametrize(
    "text",
    [
        "AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "GITHUB_TOKEN=ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "GITHUB_TOKEN=ghp_" + "a" * 36,
        'api_key = "your-api-key-here"',
        'api_key = "YOUR_API_KEY"',
        'api_key: "<insert your key>"',
        "API_KEY=${API_KEY}",
        "api_key={{ vault.api_key }}",
        "api_key = os.environ['API_KEY']",
        "api_key = config.services.openai.key",
        'token = "1234567890abcdef1234567890abcdef"',
        'token: "0000000000000000000000000000"',
        "password: changeme",
        "password = getpass.getpass()",
        'password = "********"',
        "const password = req.body.password2;",
        "PASSWORD=$DB_PASSWORD",
        "postgres://user:password@localhost:5432/db",
        "postgres://${DB_USER}:${DB_PASSWORD}@db/x",
        "mongodb+srv://<username>:<password>@cluster0.mongodb.net",
        "https://user:pass@host.org/",
        "https://host.org:8080/a@b",
        "Authorization: Bearer <token>",
        "Authorization: Bearer $TOKEN",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "sk-learn-contrib and sk-proj-short",
        "public_key = 'q8Zt5mWx0LbRq8Zt5mWx0LbR'",
        "cache_key = 'q8Zt5mWx0LbRq8Zt5mWx0LbR'",
        "key_id: q8Zt5mWx0LbRq8Zt5mWx0LbR",
        "password_hash = md5",
        "token_type = jwt_hs256",
    ],
)
def test_placeholders_and_expressions_are_silent(text: str) -> None:
    assert find(text) == ()


PROSE = (
    "The committee met on Tuesday to discuss the budget for 2025, which had grown by 4.7% since March.",
    "Please reset your password before Friday; the old one will stop working and your session token expires.",
    "Our API keys are rotated every 90 days. Ask the platform team for access if you need a new secret.",
    "She kept the secret to herself: nobody knew where the key to the garden was hidden.",
    "Key: the first letter of every line. Token: a small coin. Password: the word that opens the door.",
    "def authenticate(user, password):\n    token = create_token(user.id)\n    return {'token': token}",
    "const apiKey = process.env.API_KEY ?? '';\nif (!apiKey) throw new Error('missing API key');",
    "SELECT id, password_hash, api_token FROM users WHERE email = ? AND deleted_at IS NULL;",
    "2024-05-11T12:03:44.120Z INFO auth.service user=4411 action=login status=ok duration=35ms",
    '127.0.0.1 - - [10/Oct/2000:13:55:36 -0700] "GET /apache_pb.gif HTTP/1.0" 200 2326',
    "commit 9fceb02d0ae598e95dc970b74767f19372d61af8\nAuthor: A. Person <a.person@corp.net>\n\n    Fix typo",
    "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855  empty.txt",
    '"integrity": "sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg=="',
    "pip install requests==2.31.0 --hash=sha256:58cd2187c01e70e6e26505bca751777aa9f2ee0b7f4300988b709f44e013003f",
    "Visit https://docs.python.org/3/library/secrets.html#secrets.token_urlsafe for how to make tokens.",
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: nginx\n    image: nginx:1.25",
    "env:\n  - name: DB_PASSWORD\n    valueFrom:\n      secretKeyRef:\n        name: db\n        key: password",
    "for (const [key, value] of Object.entries(map)) { out[key.toLowerCase()] = value.trim(); }",
    "tokenizer.pad_token = tokenizer.eos_token; max_new_tokens=256; vocab_size=50257",
    "The JWT has three parts, header.payload.signature, each encoded in base64url without padding.",
    "Order 550e8400-e29b-41d4-a716-446655440000 was shipped on 12/03/2024; tracking 1Z999AA10123456784.",
    "Die Schlüssel liegen beim Pförtner. Das Passwort ist geheim, der Token läuft morgen ab.",
    "Le mot de passe est requis : saisissez-le dans le champ « password », puis validez.",
    "Die Passwörter für das Portal laufen am 31.12.2025 ab; das Kennwort muss 12 Zeichen haben.",
    "La contraseña debe tener 8 caracteres; la clave es la constancia. Mot de passe oublié ? Cliquez ici.",
    "パスワードは8文字以上です。密码至少8位,请输入密码。비밀번호를 잊으셨나요?",
    "The password for the archive is AES-256 encrypted, the password to the portal is case-sensitive.",
    "A passphrase is a sequence of words or other text used to control access.",
    "The hash 0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060 is a transaction, no key.",
    "Ключ от квартиры лежит под ковриком, пароль знает только бабушка.",
    '<input type="password" name="password" placeholder="Password" autocomplete="current-password">',
    "type Token = { kind: 'string' | 'number'; value: string; start: number; end: number };",
    'ERROR: password authentication failed for user "postgres" (SQLSTATE 28P01) at pool.go:118',
    "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC7 is how a public key begins; share that one freely.",
    "export PATH=$HOME/.local/bin:$PATH LD_LIBRARY_PATH=/usr/local/lib64 EDITOR=vim",
    "In 1971 the bank's master key was kept in a vault; two officers had to be present to open it.",
    "The sentry at the gate asked for the watchword; the segment on Notion, Linear and Slack came after the break.",
    "http { upstream app { server 10.0.0.7:8080; } server { listen 443 ssl; ssl_certificate_key /etc/ssl/k.pem; } }",
)


SAID = {
    "password：Tr0ub4dor&3": "Tr0ub4dor&3",
    "密码：Tr0ub4dor&3": "Tr0ub4dor&3",
    "contraseña： Tr0ub4dor&3": "Tr0ub4dor&3",
    "パスワードはTr0ub4dor3です": "Tr0ub4dor3",
    "Le mot de passe du serveur est Tr0ub4dor&3.": "Tr0ub4dor&3",
    "A senha do Wi-Fi é Tr0ub4dor3, anota.": "Tr0ub4dor3,",
    "Das Kennwort lautet: Tr0ub4dor3": "Tr0ub4dor3",
    "ПАРОЛЬ: Tr0ub4dor3": "Tr0ub4dor3",
    "The password for the admin account is Tr0ub4dor&3": "Tr0ub4dor&3",
}


@pytest.mark.parametrize(("text", "password"), SAID.items())
def test_passwords_are_found_in_many_languages(text: str, password: str) -> None:
    spans = {text[finding.start : finding.end] for finding in find(text)}
    assert spans & {password, password.rstrip(",")}


@pytest.mark.parametrize("text", PROSE)
def test_prose_code_and_logs_are_silent(text: str) -> None:
    assert find(text) == ()


SECRET = expand("ghp_{alnum:36}")


@pytest.mark.parametrize(
    "text",
    [
        json.dumps({"a": [{"credential": SECRET}]}),
        f"https://api.corp.net/v1?q=1&t={SECRET}&page=2",
        f"`{SECRET}`",
        f"{SECRET}\r\n",
        SECRET[:9] + "\u200b" + SECRET[9:20] + "\u2060" + SECRET[20:],
        SECRET.replace("ghp", "gh\N{CYRILLIC SMALL LETTER ER}"),
        base64.b64encode(f"the token is {SECRET}, keep it".encode()).decode(),
        f"the token is {SECRET}".encode().hex(),
        "".join(f"%{byte:02X}" for byte in SECRET.encode()),
    ],
)
def test_wrapped_and_disguised_token_is_found(text: str) -> None:
    found = [finding for finding in find(text) if finding.entity_type == "GITHUB_TOKEN"]
    assert found
    assert all(0 <= finding.start < finding.end <= len(text) for finding in found)


def test_offsets_are_code_points_of_the_original() -> None:
    text = f"Schlüssel 🔑 für «{SECRET[:5]}\u200b{SECRET[5:]}»"
    (found,) = [finding for finding in find(text) if finding.entity_type == "GITHUB_TOKEN"]
    assert text[found.start : found.end].replace("\u200b", "") == SECRET


def test_random_tokens_are_never_taken_for_placeholders() -> None:
    source = random.Random(7)
    alphabet = string.ascii_letters + string.digits
    for _ in range(300):
        token = "ghp_" + "".join(source.choices(alphabet, k=36))
        key = "sk-ant-api03-" + "".join(source.choices(alphabet + "-_", k=92)) + "A"
        assert {"GITHUB_TOKEN", "ANTHROPIC_API_KEY"} <= {f.entity_type for f in find(f"{token} {key} ")}


def test_random_values_behind_secret_names_are_found() -> None:
    source = random.Random(11)
    for alphabet in (
        string.ascii_letters + string.digits,
        string.hexdigits[:16],
        string.ascii_lowercase + string.digits,
    ):
        texts = [f"api_token = '{''.join(source.choices(alphabet, k=32))}'" for _ in range(100)]
        assert sum(bool(find(text)) for text in texts) >= 98


def test_right_checksum_raises_the_score() -> None:
    body, digits, tail = expand("{alnum:30}"), string.digits + string.ascii_uppercase + string.ascii_lowercase, ""
    number = zlib.crc32(body.encode())
    for _ in range(6):
        number, digit = divmod(number, 62)
        tail = digits[digit] + tail
    (right,), (wrong,) = find(f"ghp_{body}{tail} "), find(f"ghp_{body}AAAAAA ")
    assert right.score > wrong.score


def test_jwt_needs_a_header_that_names_an_algorithm() -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    tail = part({"sub": "4711", "name": "q"}) + expand(".{b64url:43}")
    assert "jwt" in rules(f"{part({'alg': 'HS256', 'typ': 'JWT'})}.{tail}")
    assert "jwt" not in rules(f"{part({'typ': 'JWT', 'kid': 'abcdef'})}.{tail}")


def test_settings_narrow_the_search() -> None:
    text = expand("AKIA{ALNUM:16} and ghp_{alnum:36} and password='q8{alnum:9}!7'")
    assert {f.entity_type for f in find(text)} >= {"AWS_ACCESS_KEY_ID", "GITHUB_TOKEN", "GENERIC_SECRET"}
    assert {f.entity_type for f in find(text, Secrets(types=("GITHUB_TOKEN",)))} == {"GITHUB_TOKEN"}
    assert "GENERIC_SECRET" not in {f.entity_type for f in find(text, Secrets(generic=False))}
    assert Secrets(types=("GITHUB_TOKEN",)).entity_types == {"GITHUB_TOKEN"}


def test_allowed_value_is_never_reported() -> None:
    assert find(f"use {SECRET}", Secrets(allow=(SECRET,))) == ()


@pytest.mark.parametrize("settings", [{"types": ("NO_SUCH_TYPE",)}, {"typ": ()}, {"generic": "perhaps"}])
def test_wrong_setting_is_an_error(settings: dict[str, object]) -> None:
    with pytest.raises((ValueError, TypeError)):
        Secrets(**settings)  # type: ignore[arg-type]


def test_unknown_type_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"NO_SUCH_TYPE; valid: .*GITHUB_TOKEN"):
        Secrets(types=("NO_SUCH_TYPE",))


def test_categories_part_the_types() -> None:
    assert tuple(ALL.categories) == CATEGORIES
    assert frozenset().union(*ALL.categories.values()) == ALL.entity_types
    assert sum(map(len, ALL.categories.values())) == len(ALL.entity_types)


def test_findings_are_sorted_deterministic_and_absent_from_nothing() -> None:
    text = "\n".join(expand(row.extra["good"][0]) for row in ALL.patterns[:200])
    found = find(text)
    assert found == find(text) == find(text, Secrets())
    assert all((a.start, a.end, a.entity_type) <= (b.start, b.end, b.entity_type) for a, b in pairwise(found))
    assert len(found) > 150
    assert find("") == ()


def test_finding_holds_no_secret() -> None:
    assert SECRET not in repr(find(f"use {SECRET}"))


PASSWORD = "Zx8kLmQ2!"


@pytest.mark.parametrize(
    "content",
    [
        {"password": PASSWORD},
        {"db": {"password": PASSWORD, "user": "x"}},
        {"passwords": [PASSWORD]},
        {"dbPassword": PASSWORD},
        {"api_key": expand("{hex:32}")},
        {"client_secret": expand("{alnum:24}")},
        {"aws_secret_access_key": expand("{alnum:40}")},
        {"name": "DB_PASSWORD", "value": PASSWORD},
        {"key": "password", "value": PASSWORD},
    ],
    ids=str,
)
def test_the_name_of_an_objects_field_is_what_its_value_is_assigned_to(engine: Engine, content: object) -> None:
    for given in (content, [content], {"rows": [content]}):
        output = str(engine.check(given, stage="post_tool", overrides=NO_MODEL).output)
        assert "SECRET>" in output or "KEY>" in output
        assert PASSWORD not in output


@pytest.mark.parametrize(
    "content",
    [
        {"password": "required"},
        {"password_policy": "min-12-chars"},
        {"auth": {"user": "Zx8kLmQ2hTr9"}},
        {"public_key_id": "Zx8kLmQ2hTr9"},
        {"key": "colour", "value": "Zx8kLmQ2hTr9"},
        {"token_type": "bearer"},
    ],
    ids=str,
)
def test_other_fields_hold_no_secrets(engine: Engine, content: object) -> None:
    assert engine.check(content, stage="post_tool", overrides=NO_MODEL).output == content


def test_a_call_with_a_password_is_stopped_as_an_object_too(engine: Engine) -> None:
    call = {"name": "login", "args": {"user": "ann", "password": "Zx8kLmQ2hTr9"}}
    assert engine.check(call, stage="pre_tool", overrides=NO_MODEL).blocked


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"password": "hunter2-Blue!"}', '{"password": "<GENERIC_SECRET>"}'),
        ('{\\"password\\": \\"hunter2-Blue?\\"}', '{\\"password\\": \\"<GENERIC_SECRET>\\"}'),
        ("PASSWORD=Zx8kLmQ2!", "PASSWORD=<GENERIC_SECRET>"),
        ("PASSWORD=Zx8kLmQ2!\nNEXT=1", "PASSWORD=<GENERIC_SECRET>\nNEXT=1"),
        ("<password>Zx8kLmQ2?!</password>", "<password><GENERIC_SECRET></password>"),
        ("Password: **Sommer2024!**", "Password: **<GENERIC_SECRET>**"),
        ("password: Zx8kLmQ2, then", "password: <GENERIC_SECRET>, then"),
        ("The password: Zx8kLmQ2. Then", "The password: <GENERIC_SECRET>. Then"),
    ],
)
def test_a_password_is_all_that_stands_there(engine: Engine, text: str, expected: str) -> None:
    assert engine.check(text, stage="response", overrides=NO_MODEL).output == expected


@pytest.mark.parametrize(
    "text",
    [
        'requests.get(url, auth=("ann", "s3cret!x7"))',
        'requests.get(url, auth=(**"ann"**, **"s3cret!x7"**))',
        'auth=("ann",\n    "s3cret!x7",\n)',
        "ＰＷ: s3cret!x7",
        "p\u200bw: s3cret!x7",
        "INSERT INTO users (name, password) VALUES ('Ann, B.', 's3cret!x7')",
        "| Benutzer | **Kennwort** |\n|---|---|\n| ann | s3cret!x7 |",
        "docker login \\\n  -u ann -p s3cret!x7".replace("\\\n ", ""),
    ],
)
def test_everyday_credentials_are_found_in_their_disguises(text: str) -> None:
    assert [text[f.start : f.end] for f in find(text) if "s3cret!x7" in text[f.start : f.end]]
