"""Patterns, gates, and the cache of compiled databases."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Origin, Segment
from guardrails_plugin.gate import derive, shape
from guardrails_plugin.matching import Matcher, Pattern, compile_pattern
from guardrails_plugin.normalize import normalize

ROWS = [
    Pattern("token", r"\btok_[a-z0-9]{8,20}\b", "TOKEN"),
    Pattern("pair", r"\bkey\s{0,3}=\s{0,3}(?P<value>[a-z]{4,9})", "PAIR", ignore_case=True),
    Pattern("free", r"\w+;", "FREE", foreign=True),
]


def values(matcher: Matcher, content: str) -> list[str]:
    found = matcher.match(normalize(Segment(content, Origin.USER)))
    return sorted(match.value for matches in found.values() for match in matches)


@pytest.mark.parametrize("use_hyperscan", [True, False, None])
def test_both_engines_find_the_same(use_hyperscan: bool | None) -> None:
    matcher = Matcher({"rows": ROWS}, use_hyperscan=use_hyperscan)
    assert values(matcher, "é tok_abcdefgh KEY = word; tok_x") == ["tok_abcdefgh", "word", "word;"]


@pytest.mark.parametrize("regex", [r"(?=x)y", r"(?<!a)b", r"(a)\1", r"(?>a)", r"a{1,5000}", r"[", r"(a{1,900}){1,900}"])
def test_what_could_stall_is_refused_with_its_name(regex: str) -> None:
    with pytest.raises(ConfigError, match="rules\\[3\\]: regular expression refused by re2"):
        compile_pattern(regex, where="rules[3]")


@pytest.mark.parametrize(
    ("regex", "gated"),
    [
        (r"\bghp_[A-Za-z0-9]{36}\b", True),
        (r"(?:foo|barbaz)x", True),
        (r"\d{3}-\d{2}-\d{4}", True),
        (r"[a-z]+@", False),
        (r"x.{0,10}y", False),
        (r"(?i:abc)def", False),
        (r"\pL{5}", False),
    ],
)
def test_gates_come_from_beginnings_that_say_enough(regex: str, gated: bool) -> None:
    assert (derive(regex) is not None) is gated


@pytest.mark.parametrize(
    ("regex", "width", "spaceless"),
    [(r"a{2,5}b", 6, True), (r"a+", None, True), (r"[^\s]{3}", 3, True), (r"[^x]{3}", 3, False), (r"a b", 3, False)],
)
def test_shapes(regex: str, width: int | None, spaceless: bool) -> None:
    assert (shape(regex).width, shape(regex).spaceless) == (width, spaceless)


class TestCache:
    @pytest.fixture
    def folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
        monkeypatch.setenv("GUARDRAILS_CACHE_DIR", str(tmp_path))
        Matcher({"rows": ROWS}, use_hyperscan=True)
        return tmp_path / "matching"

    def file(self, folder: Path) -> Path:
        (path,) = folder.glob("*.hsdb")
        return path

    def test_a_compiled_database_is_kept_for_its_owner_alone(self, folder: Path) -> None:
        assert self.file(folder).stat().st_mode & 0o077 == 0
        assert folder.stat().st_mode & 0o077 == 0
        written = self.file(folder).stat().st_mtime_ns
        Matcher({"rows": ROWS}, use_hyperscan=True)
        assert self.file(folder).stat().st_mtime_ns == written

    @pytest.mark.parametrize("content", [b"", b"garbage", b"0" * 64 + b"\n" + b"x" * 100])
    def test_a_damaged_one_is_made_anew(self, folder: Path, content: bytes) -> None:
        self.file(folder).write_bytes(content)
        assert values(Matcher({"rows": ROWS}, use_hyperscan=True), "tok_abcdefgh") == ["tok_abcdefgh"]
        assert len(self.file(folder).read_bytes()) > 200

    @pytest.mark.skipif(not hasattr(os, "getuid"), reason="no POSIX permissions here")
    def test_one_that_others_could_write_is_not_trusted(self, folder: Path) -> None:
        path = self.file(folder)
        path.chmod(0o666)
        assert values(Matcher({"rows": ROWS}, use_hyperscan=True), "tok_abcdefgh") == ["tok_abcdefgh"]
        assert path.stat().st_mode & 0o077 == 0

    def test_a_folder_that_cannot_be_written_only_costs_time(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("GUARDRAILS_CACHE_DIR", str(tmp_path / "file"))
        assert values(Matcher({"rows": ROWS}, use_hyperscan=True), "tok_abcdefgh") == ["tok_abcdefgh"]


def test_some_tables_of_a_matcher_find_what_they_would_alone() -> None:
    """Labels of types that are not looked for are ordinary text to those that are."""
    tables = {"rows": ROWS[:2], "labels": [Pattern("label", r"PAIR_\d", "LABEL")]}
    whole, text = Matcher(tables), normalize(Segment("<PAIR_7> tok_abcdefgh KEY = word", Origin.USER))
    assert {name: len(found) for name, found in whole.match(text).items()} == {"rows": 2}
    for names in (["rows"], ["labels"]):
        own = Matcher({name: tables[name] for name in names})
        assert whole.narrowed(names, alone=True).match(text) == own.match(text) != {}
        assert whole.narrowed(names, alone=True).reach == own.reach


def test_threads_that_follow_one_another_need_one_scratch_space(monkeypatch: pytest.MonkeyPatch) -> None:
    """Frameworks run tools on threads of their own; a scratch space takes longer to make than a page to scan."""
    hyperscan = pytest.importorskip("hyperscan")
    matcher = Matcher({"rows": ROWS}, use_hyperscan=True)
    made: list[Any] = []
    own = hyperscan.Scratch

    def scratch(database: Any) -> Any:
        made.append(database)
        return own(database)

    monkeypatch.setattr(hyperscan, "Scratch", scratch)
    found: list[list[str]] = []
    for _ in range(3):
        thread = Thread(target=lambda: found.append(values(matcher, "tok_abcdefgh")))
        thread.start()
        thread.join()
    assert found == [["tok_abcdefgh"]] * 3
    assert len(made) == 1


def test_scans_at_the_same_time_have_scratch_spaces_of_their_own() -> None:
    matcher = Matcher({"rows": ROWS}, use_hyperscan=None)
    text = "tok_abcdefgh " * 500
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: len(values(matcher, text)), range(40)))
    assert found == [500] * 40
