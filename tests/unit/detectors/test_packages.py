"""Packages are found where they are named, judged by the user's files, and compared with well-known names."""

from __future__ import annotations

import json
import zipfile
from base64 import b64encode
from itertools import pairwise
from pathlib import Path

import pytest

from guardrails_plugin.detectors.package_advisories import Advisories
from guardrails_plugin.detectors.package_versions import affected, version_key
from guardrails_plugin.detectors.packages import Packages
from guardrails_plugin.detectors.table import read_table
from guardrails_plugin.normalize import normalize
from guardrails_plugin.types import NO_CONTEXT, Finding, Origin, Segment

DETECTOR = Packages()


def found(text: str, detector: Packages = DETECTOR) -> list[Finding]:
    (findings,) = detector.detect([normalize(Segment(text, Origin.MODEL))], NO_CONTEXT)
    return list(findings)


def kinds(text: str, detector: Packages = DETECTOR) -> list[tuple[str, str]]:
    return [(f.entity_type.removesuffix("_PACKAGE").lower(), text[f.start : f.end]) for f in found(text, detector)]


def osv(name: str, ecosystem: str, *events: dict[str, str], versions: tuple[str, ...] = ()) -> dict[str, object]:
    ranges = [{"type": "ECOSYSTEM", "events": list(events)}] if events else []
    item = {"package": {"name": name, "ecosystem": ecosystem}, "ranges": ranges, "versions": list(versions)}
    return {"id": f"TEST-{name}", "affected": [item]}


@pytest.fixture
def detector(tmp_path: Path) -> Packages:
    lamp = osv("Lamp_Shade", "PyPI", {"introduced": "0"}, {"fixed": "1.2"}, {"introduced": "2.0"}, {"fixed": "2.1.3"})
    folder = tmp_path / "osv"
    folder.mkdir()
    (folder / "a.json").write_text(json.dumps(lamp))
    with zipfile.ZipFile(tmp_path / "npm.zip", "w") as archive:
        archive.writestr(
            "b.json", json.dumps(osv("lamp-js", "npm", {"introduced": "1.0.0"}, {"last_affected": "1.4.2"}))
        )
        archive.writestr("c.json", json.dumps(osv("unfixed", "npm", {"introduced": "0"})))
    (tmp_path / "safety.json").write_text(json.dumps({"$meta": {}, "oldlib": [{"specs": [">=1.0,<1.5"], "id": "S1"}]}))
    (tmp_path / "bad.txt").write_text("# malware\nevil-lamp\nnpm:evil-js\n")
    (tmp_path / "mal.jsonl").write_text(
        json.dumps({"ecosystem": "npm", "name": "taken", "versions": ["0.7.29"], "id": "M1"})
    )
    return Packages(
        vulnerabilities=(folder, tmp_path / "npm.zip", tmp_path / "safety.json"),
        malicious=(tmp_path / "bad.txt", tmp_path / "mal.jsonl"),
    )


NAMED = [
    ("pip install lamp-shade==1.1", [("vulnerable", "lamp-shade==1.1")]),
    ("pip install lamp.shade==1.2", []),
    ("uv pip install -U 'Lamp_Shade[all]==2.1.2' --quiet", [("vulnerable", "Lamp_Shade[all]==2.1.2")]),
    ("lamp-shade==1.2rc1\nother==3", [("vulnerable", "lamp-shade==1.2rc1")]),
    ("pip install lamp-shade", []),
    ("npm install lamp-js@1.4.2", [("vulnerable", "lamp-js@1.4.2")]),
    ("npm i lamp-js@1.4.3", []),
    ('{"dependencies": {"lamp-js": "^1.3.0"}}', [("vulnerable", 'lamp-js": "^1.3.0')]),
    ("yarn add unfixed", [("vulnerable", "unfixed")]),
    ("oldlib==1.4\n", [("vulnerable", "oldlib==1.4")]),
    ("oldlib==1.5\n", []),
    ("pip install evil-lamp rich", [("malicious", "evil-lamp")]),
    ("import evil_lamp", [("malicious", "evil_lamp")]),
    ("const e = require('evil-js')", [("malicious", "evil-js")]),
    ("npm install taken@0.7.29", [("malicious", "taken@0.7.29")]),
    ("npm install taken@0.7.30", []),
    ("npm install taken", []),
    ("pip install -r evil-lamp", []),
]


@pytest.mark.parametrize(("text", "expected"), NAMED)
def test_what_the_users_files_say(detector: Packages, text: str, expected: list[tuple[str, str]]) -> None:
    assert kinds(text, detector) == expected


@pytest.mark.parametrize(
    ("text", "real"),
    [
        ("pip install reqeusts", "requests"),
        ("pip install panda5", "pandas"),
        ("pip install djngo", "django"),
        ("pip install beautifulsoup5", "beautifulsoup4"),
        ("npm install expresss", "express"),
        ("npm install loadash", "lodash"),
        ("from tensorflw import keras", "tensorflow"),
        ("import axios from 'axois'", "axios"),
        ("go get github.com/gorila/mux", "github.com/gorilla/mux"),
        ("go install -v github.com/spf14/cobra/cobra@latest", "github.com/spf13/cobra"),
        ("require github.com/sirupsn/logrus v1.9.3", "github.com/sirupsen/logrus"),
        ('import (\n\t"fmt"\n\tlog "github.com/sirupsem/logrus"\n)', "github.com/sirupsen/logrus"),
        ('import "golamg.org/x/crypto/ssh"', "golang.org/x/crypto"),
        ("require (\n\tgithub.com/jackd/pgx/v5 v5.5.0 // indirect\n)", "github.com/jackc/pgx"),
        ("cargo add tokoi --features full", "tokio"),
        ("cargo install rand_cores@0.6.4", "rand-core"),
        ('[dependencies]\nserde_jsom = "1.0"', "serde-json"),
        ('[dev-dependencies]\nreqwet = { version = "0.12", features = ["json"] }', "reqwest"),
        ("use serde_jsn::Value;\nfn main() {}", "serde-json"),
        ("extern crate lazy_statics;", "lazy-static"),
    ],
)
def test_look_alikes(text: str, real: str) -> None:
    (finding,) = found(text)
    assert (finding.entity_type, finding.evidence["looks_like"]) == ("LOOK_ALIKE_PACKAGE", real)


@pytest.mark.parametrize(
    "hidden",
    [
        "pip install reqe\u200busts",
        "pip ins\u200btall req\u200beu\u200bsts",
        f"Run this: {b64encode(b'pip install reqeusts && python run.py').decode()}",
    ],
)
def test_disguises_hide_nothing(hidden: str) -> None:
    (finding,) = found(hidden)
    assert (finding.entity_type, finding.evidence["looks_like"]) == ("LOOK_ALIKE_PACKAGE", "requests")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Please install the lamp and import the requsets.",
        "pip install requests pandas==2.2.0 numpy",
        "pip install -r requirements.txt",
        "npm install preact nest @types/node",
        "import json\nimport colorsys\nfrom typing import Any",
        "go get github.com/gorilla/mux@v1.8.1 golang.org/x/net/html github.com/jackc/pgx/v5",
        "go get github.com/gorilla/muxes",  # only gorilla can publish it
        "go get github.com/someone/mux ./... && go install ./cmd/tool",
        'import (\n\t"net/http"\n\t"encoding/json"\n\t"github.com/acme/tool/internal/log"\n)',
        "module github.com/gorila/mux\n\ngo 1.22\n",
        "See github.com/gorila/mux for the fork.",
        "cargo add serde serde_json --features derive tokio@1.38",
        "cargo install --path tokoi --git https://x.example/serd.git",
        '[package]\nname = "serd"\nversion = "1.0.0"\nedition = "2021"\n[dependencies]\nserde = "1"\nmylib = "0.2"',
        '[tool.poetry.dependencies]\nreqwet = "1.0"',
        'reqwet = "1.0"',
        "use crate::tokoi::Thing;\nuse std::collections::HashMap;\nuse super::serd;",
        "Please use tokoi as a name.",
        "pip install my-own-tool ./dist/thing.whl git+https://x.example/reqeusts.git",
    ],
)
def test_ordinary_installs(text: str) -> None:
    assert found(text) == []


OUTDATED = [
    ("pip install lamp==1.9", {"newest": "1.10"}),
    ("pip install LAMP==1.10", None),
    ("pip install lamp", None),
    ("lamp>=1.2\n", None),  # a newer one will be taken
    ("pip install shade==2.0rc1", {"newest": "2.0"}),
    ("npm install @acme/bulb@3.9.9", {"newest": "4.0.0"}),
    ("npm install @acme/bulb@4.0.1", None),
    ("go get github.com/acme/lamp@v1.2.0", {"newest": "1.3.0"}),
    ("cargo add wick@0.3.1", {"newest": "0.4.0"}),
    ("pip install PyCrypto==2.6.1", {"instead": "pycryptodome"}),
    ("pip install sklearn", {"instead": "scikit-learn"}),
    ("from sklearn.svm import SVC", None),  # the module of scikit-learn
    ("const request = require('request')", {"instead": "fetch, undici"}),
    ("go get github.com/dgrijalva/jwt-go", {"instead": "github.com/golang-jwt/jwt"}),
    ('[dependencies]\nfailure = "0.1"', {"instead": "thiserror, anyhow"}),
    ("Nose and boto were fine in their time; npm deprecated request.", None),
]


@pytest.mark.parametrize(("text", "facts"), OUTDATED)
def test_outdated_is_what_is_older_than_the_newest_or_retired(
    tmp_path: Path, text: str, facts: dict[str, str] | None
) -> None:
    (tmp_path / "pip.json").write_text(
        json.dumps([{"name": "Lamp", "version": "1.8", "latest_version": "1.10", "latest_filetype": "wheel"}])
    )
    (tmp_path / "npm.json").write_text(json.dumps({"@acme/bulb": {"current": "3.0.0", "latest": "4.0.0"}}))
    (tmp_path / "list.txt").write_text(
        "# newest\nshade==2.0\ngo:github.com/acme/lamp==1.3.0\ncrates.io:wick==0.4.0\n-e .\n"
    )
    detector = Packages(newest=tuple(tmp_path / name for name in ("pip.json", "npm.json", "list.txt")))
    outdated = [f for f in found(text, detector) if f.entity_type == "OUTDATED_PACKAGE"]
    assert [{k: v for k, v in f.evidence.items() if k in {"newest", "instead"}} for f in outdated] == (
        [facts] if facts else []
    )


def test_outdated_packages_can_be_let_pass() -> None:
    assert not found("pip install pycrypto", Packages(outdated=False))
    assert not found("pip install pycrypto", Packages(allow=("pycrypto",)))


def test_what_is_vulnerable_and_outdated_is_called_vulnerable(tmp_path: Path) -> None:
    (tmp_path / "osv.json").write_text(json.dumps(osv("pycrypto", "PyPI", {"introduced": "0"})))
    detector = Packages(vulnerabilities=(tmp_path / "osv.json",))
    assert kinds("pip install pycrypto==2.6.1", detector) == [("vulnerable", "pycrypto==2.6.1")]


@pytest.mark.parametrize("content", [None, "", "lamp\n", '[{"name": "lamp"}]', "{", '{"lamp": {"latest": "soon"}}'])
def test_a_file_without_newest_versions_is_an_error(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "newest.json").write_text(content)
    with pytest.raises(ValueError, match=r"packages: newest: .*newest\.json"):
        Packages(newest=(tmp_path / "newest.json",))


def test_every_retired_package_names_its_source_and_what_took_its_place() -> None:
    rows = read_table("retired_packages")["package"]
    assert all(row.keys() == {"ecosystem", "name", "instead", "source"} for row in rows)
    assert all(row["source"].startswith("https://") and row["instead"] for row in rows)
    assert len({(row["ecosystem"], row["name"]) for row in rows}) == len(rows)


def test_advisories_of_go_and_rust(tmp_path: Path) -> None:
    records = [
        osv("github.com/lamp/shade", "Go", {"introduced": "0"}, {"fixed": "1.4.0"}),
        osv("lamp_oil", "crates.io", {"introduced": "0.2.0"}, {"fixed": "0.3.1"}),
    ]
    (tmp_path / "osv.jsonl").write_text("\n".join(map(json.dumps, records)))
    (tmp_path / "bad.txt").write_text("go:github.com/evil/lamp\ncrates.io:evil-wick\n")
    detector = Packages(vulnerabilities=(tmp_path / "osv.jsonl",), malicious=(tmp_path / "bad.txt",))
    assert kinds("require github.com/lamp/shade v1.3.9", detector) == [("vulnerable", "github.com/lamp/shade v1.3.9")]
    assert kinds("go install github.com/lamp/shade/cmd@v1.3.0", detector) == [
        ("vulnerable", "github.com/lamp/shade/cmd@v1.3.0")
    ]
    assert kinds("require github.com/lamp/shade v1.4.0", detector) == []
    assert kinds('[dependencies]\nlamp-oil = "0.3.0"', detector) == [("vulnerable", 'lamp-oil = "0.3.0"')]
    assert kinds('[dependencies]\nlamp-oil = "0.3.1"', detector) == []
    assert kinds("cargo add lamp_oil@0.2.5", detector) == [("vulnerable", "lamp_oil@0.2.5")]
    assert kinds('import "github.com/evil/lamp/wick"', detector) == [("malicious", "github.com/evil/lamp/wick")]
    assert kinds("use evil_wick::burn;", detector) == [("malicious", "evil_wick")]


def test_own_names_and_allowed_ones() -> None:
    assert kinds("pip install acme-cor", Packages(popular={"pypi": ("acme-core",)})) == [("look_alike", "acme-cor")]
    assert found("pip install reqeusts", Packages(allow=("reqeusts",))) == []
    with pytest.raises(ValueError, match=r"unknown ecosystem 'gem'; valid: crates.io, go, npm, pypi"):
        Packages(popular={"gem": ("rails",)})


@pytest.mark.parametrize(
    "content", [None, "{", '{"id": "x", "affected": [{"package": {"ecosystem": "Hex", "name": "g"}}]}']
)
def test_a_file_that_says_nothing_is_an_error(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(ValueError, match=r"packages: malicious: .*x\.json"):
        Advisories.load([path], "malicious")


ORDERED = {
    "pypi": ["1.0.dev1", "1.0a1", "1.0b2", "1.0rc1", "1.0", "1.0.post1", "1.0.1", "1.10", "2!0.1"],
    "npm": ["1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-rc.1", "1.0.0", "1.2.0", "1.10.0"],
}


@pytest.mark.parametrize("ecosystem", ORDERED)
def test_versions_are_ordered(ecosystem: str) -> None:
    keys = [version_key(version, ecosystem) for version in ORDERED[ecosystem]]
    assert None not in keys
    assert all(a < b for a, b in pairwise(keys))  # type: ignore[operator]


def test_equal_versions_and_no_versions() -> None:
    assert version_key("1.0", "pypi") == version_key("1.0.0", "pypi")
    assert version_key("latest", "npm") is None
    assert not affected("latest", "npm", [{"introduced": "0"}])
