"""Every feed format is read, look-ups are exact and cheap, changed files are noticed, bad lines only counted."""

from __future__ import annotations

import json
import os
import threading
import time
import tracemalloc
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin.detectors.feed_lines import read_line
from guardrails_plugin.detectors.feeds import FeedIndex, Feeds
from guardrails_plugin.detectors.url_parts import parse, refang
from guardrails_plugin.errors import ConfigError

LINES = {
    "https://Evil.example/x?y=1#z": [("url", "evil.example/x?y=1")],
    "http://evil.example:8080/a": [("url", "evil.example:8080/a")],
    "http://evil.example": [("url", "evil.example/")],
    "hxxp://evil[.]example/a": [("url", "evil.example/a")],
    "http://198.51.100.7/x.exe": [("url", "198.51.100.7/x.exe")],
    "evil.example/path": [("url", "evil.example/path")],
    "EVIL.example.": [("domain", "evil.example")],
    "evil[.]example": [("domain", "evil.example")],
    "*.evil.example": [("domain", "evil.example")],
    "bücher.example": [("domain", "xn--bcher-kva.example")],
    "evil_host.example": [("domain", "evil_host.example")],
    "||ads.example^": [("domain", "ads.example")],
    "198.51.100.7": [("ip", "198.51.100.7/32")],
    "198.51.100.7:4444": [("ip", "198.51.100.7/32")],
    "198.51.100.0/24": [("ip", "198.51.100.0/24")],
    "198.51.100.0/24 ; SBL123": [("ip", "198.51.100.0/24")],
    "198.51.100.8 - 198.51.100.9": [("ip", "198.51.100.8/31")],
    "7.7.7.1-7.7.7.3": [("ip", "7.7.7.1/32"), ("ip", "7.7.7.2/31")],
    "||ads.example^$third-party": [("domain", "ads.example")],
    "||ads.example^$third-party,script,domain=a.example": [("domain", "ads.example")],
    "||ads.example/banner$image": [("url", "ads.example/banner")],
    "@@||good.example^": [],
    "evil.example;phishing": [("domain", "evil.example")],
    "2024-01-01;198.51.100.7;botnet": [("ip", "198.51.100.7/32")],
    "http://evil.example/a;id=1": [("url", "evil.example/a;id=1")],
    "address=/evil.example/0.0.0.0": [("domain", "evil.example")],
    "server=/a.example/b.example/": [("domain", "a.example"), ("domain", "b.example")],
    'local-zone: "evil.example" always_nxdomain': [("domain", "evil.example")],
    'local-zone: "good.example" transparent': [None],
    'local-data: "evil.example. A 0.0.0.0"': [("domain", "evil.example")],
    "x-y.example": [("domain", "x-y.example")],
    "2001:db8::/32": [("ip", "2001:db8::/32")],
    "0.0.0.0 a.example b.example # both": [("domain", "a.example"), ("domain", "b.example")],
    "127.0.0.1\tlocalhost": [],
    "::1 ip6-localhost": [],
    "0.0.0.0 0.0.0.0": [],
    "0.0.0.0 127.0.0.1 evil.example": [("domain", "evil.example")],
    "0.0.0.0 198.51.100.7": [("ip", "198.51.100.7/32")],
    "255.255.255.255 broadcasthost": [],
    "fe80::1%lo0 localhost": [],
    "fe00::0 ip6-localnet": [],
    "ff02::1 ip6-allnodes": [],
    '"1","2024-01-01 00:00:00","http://evil.example/a,b","online","2024-01-01","malware_download","exe","x","y"': [
        ("url", "evil.example/a,b")
    ],
    '"2024-01-01","77","198.51.100.7:80","ip:port","botnet_cc"': [("ip", "198.51.100.7/32")],
    "2024-01-01,evil.example,phishing": [("domain", "evil.example")],
    '{"cidr":"198.51.100.0/24","sblid":"SBL1","rir":"apnic"}': [("ip", "198.51.100.0/24")],
    '{"type":"metadata","timestamp":1730000000,"size":3}': [],
    "[domain-name:value = 'evil.example']": [("domain", "evil.example")],
    "[url:value = 'http://evil.example/a' OR ipv4-addr:value = '198.51.100.7']": [
        ("url", "evil.example/a"),
        ("ip", "198.51.100.7/32"),
    ],
    "[domain-name:value IN ('a.example', 'b.example')]": [("domain", "a.example"), ("domain", "b.example")],
    "[domain-name:value != 'a.example']": [None],
    "# comment": [],
    "; comment": [],
    "// comment": [],
    "! comment": [],
    "": [],
    "not an entry": [None],
    "single": [None],
    '{"broken": ': [None],
    "999.1.1.1": [None],
    "http://": [None],
}

STIX = {
    "type": "bundle",
    "id": "bundle--1",
    "objects": [
        {"type": "identity", "name": "somebody", "value": "ignored-not"},
        {"type": "indicator", "pattern_type": "stix", "pattern": "[domain-name:value = 'evil.example']"},
        {"type": "indicator", "pattern_type": "stix", "pattern": "[ipv4-addr:value ISSUBSET '198.51.100.0/24']"},
        {"type": "indicator", "pattern_type": "stix", "pattern": "[url:value = 'http://files.example/it\\'s']"},
    ],
}


def feeds(tmp_path: Path, content: str, **settings: float) -> Feeds:
    path = tmp_path / "feed"
    path.write_text(content, encoding="utf-8")
    return Feeds([path], **settings)


@pytest.mark.parametrize(("line", "entries"), LINES.items())
def test_lines(line: str, entries: list[object]) -> None:
    assert list(read_line(line)) == entries


@given(st.text(max_size=120) | st.text(st.sampled_from("http://.[]{}\",;'= 1a:%#\n"), max_size=80))
def test_no_line_raises(line: str) -> None:
    FeedIndex.build(read_line(line))


@pytest.mark.parametrize("indent", [None, 2])
def test_stix_bundles_in_one_line_or_many(tmp_path: Path, indent: int | None) -> None:
    index = feeds(tmp_path, json.dumps(STIX, indent=indent)).index
    assert index.host("www.evil.example")
    assert index.ip(ip_address("198.51.100.255"))
    assert url(index, "http://files.example/it's")
    assert index.skipped == 1  # the identity's value is no entry


def test_json_lines_and_lists_and_a_byte_order_mark(tmp_path: Path) -> None:
    assert (
        feeds(tmp_path, '{"cidr":"198.51.100.0/24"}\n{"cidr":"203.0.113.0/24"}\n{"type":"metadata"}\n').index.size == 2
    )
    assert feeds(tmp_path, '["evil.example", "http://a.example/x"]').index.size == 2
    assert feeds(tmp_path, "\ufeffevil.example\r\n# x\r\nother.example\r\n").index.size == 2
    assert feeds(tmp_path, "").index.size == 0


@pytest.mark.parametrize(
    ("fields", "listed"),
    [
        ({}, True),
        ({"valid_until": "2999-01-01T00:00:00Z", "revoked": False}, True),
        ({"valid_until": "soon"}, True),
        ({"valid_until": "2020-01-01T00:00:00.000Z"}, False),
        ({"revoked": True}, False),
    ],
)
def test_a_stix_indicator_counts_until_it_is_taken_back_or_over(
    tmp_path: Path, fields: dict[str, object], listed: bool
) -> None:
    indicator = {"type": "indicator", "pattern": "[domain-name:value IN ('a.example','evil.example')]", **fields}
    index = feeds(tmp_path, json.dumps({"type": "bundle", "objects": [indicator]})).index
    assert index.host("evil.example") is listed


def test_utf_16_with_its_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "feed"
    path.write_text("evil.example\nother.example\n", encoding="utf-16")
    assert Feeds([path]).index.size == 2


@pytest.mark.parametrize(
    "content",
    [
        b"Dear colleague,\nplease find the report on https://good.example/ below.\n",
        "evil.example\n".encode("utf-16-le"),
        b"{\n broken",
        b"\x89PNG\r\n\x1a\n\x00",
    ],
)
def test_a_file_without_any_entry_is_no_feed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "feed"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"feed: none of its \d+ lines is an entry") as refused:
        Feeds([path])
    assert "colleague" not in str(refused.value)


def test_mostly_other_lines_are_said_once_without_their_words(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    loaded = feeds(tmp_path, "evil.example\nprivate words\nmore of them\n", reload_seconds=0.0)
    os.utime(tmp_path / "feed", ns=(1, 1))
    assert loaded.index.size == 1
    (record,) = caplog.records
    assert record.getMessage().endswith("feed: 2 of 3 lines are no entries")


def test_a_file_that_turns_into_something_else_keeps_its_content(tmp_path: Path) -> None:
    loaded = feeds(tmp_path, "old.example\n", reload_seconds=0.0)
    (tmp_path / "feed").write_text("<html> down for maintenance\n")
    assert loaded.index.host("old.example")


def url(index: FeedIndex, text: str) -> bool:
    parts = parse(refang(text))
    assert parts is not None
    return index.url(parts)


def test_hosts_cover_their_subdomains_and_urls_only_themselves(tmp_path: Path) -> None:
    index = feeds(tmp_path, "evil.example\nhttp://shared.example/bad\nhttp://q.example/a?id=1\n").index
    assert index.host("evil.example")
    assert index.host("a.b.evil.example")
    assert not index.host("notevil.example")
    assert not index.host("example")
    assert not index.host("shared.example")
    assert url(index, "https://shared.example/bad?utm=1")
    assert not url(index, "https://shared.example/bad/more")
    assert url(index, "http://q.example/a?id=1")
    assert not url(index, "http://q.example/a?id=2")


def test_address_ranges_merge_and_have_ends(tmp_path: Path) -> None:
    index = feeds(tmp_path, "198.51.100.0/25\n198.51.100.128/25\n203.0.113.5\n2001:db8::/32\n").index
    assert index.size == 3
    inside = ["198.51.100.0", "198.51.100.255", "203.0.113.5", "2001:db8:ffff::1"]
    outside = ["198.51.99.255", "198.51.101.0", "203.0.113.4", "203.0.113.6", "0.0.0.0", "2001:db9::", "::1"]
    assert all(index.ip(ip_address(text)) for text in inside)
    assert not any(index.ip(ip_address(text)) for text in outside)


def test_bad_lines_are_counted(tmp_path: Path) -> None:
    index = feeds(tmp_path, "evil.example\nnonsense here\n\x00\x01\nevil.example\n").index
    assert (index.size, index.skipped) == (1, 2)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.csv"):
        Feeds([tmp_path / "nowhere.csv"])
    with pytest.raises(ConfigError, match="cannot read"):
        Feeds([tmp_path])


def test_a_changed_file_is_loaded_again_and_a_lost_one_keeps_its_content(tmp_path: Path) -> None:
    loaded = feeds(tmp_path, "old.example\n", reload_seconds=0.0)
    assert loaded.index.host("old.example")
    path = tmp_path / "feed"
    path.write_text("brand-new.example\n")
    os.utime(path, ns=(1, 1))
    assert loaded.index.host("brand-new.example")
    assert not loaded.index.host("old.example")
    path.unlink()
    assert loaded.index.host("brand-new.example")


def test_changes_are_looked_for_at_most_every_few_seconds(tmp_path: Path) -> None:
    loaded = feeds(tmp_path, "old.example\n", reload_seconds=3600.0)
    (tmp_path / "feed").write_text("brand-new.example\n")
    assert loaded.index.host("old.example")


def test_look_ups_during_reloads_always_see_a_whole_index(tmp_path: Path) -> None:
    loaded = feeds(tmp_path, "always.example\none.example\n", reload_seconds=0.0)
    path, missed, done = tmp_path / "feed", [], threading.Event()

    def look() -> None:
        while not done.is_set():
            if not loaded.index.host("x.always.example"):
                missed.append(1)

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(30):
        other = tmp_path / "next"
        other.write_text("always.example\n" + f"n{number}.example\n" * (number + 1))
        other.replace(path)
    done.set()
    for thread in threads:
        thread.join()
    assert not missed


@pytest.mark.slow
def test_200_000_entries_take_little_memory_and_a_few_microseconds(tmp_path: Path) -> None:
    path = tmp_path / "big"
    path.write_text("".join(f"host{number * 7919 % 1_000_003}.evil{number}.example\n" for number in range(200_000)))
    tracemalloc.start()
    loaded = Feeds([path])
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert loaded.index.size == 200_000
    assert kept < 4_000_000
    index = loaded.index
    assert index.host("deep.www.host0.evil0.example")
    began = time.thread_time()
    for _ in range(20_000):
        index.host("a.b.example.com")
    assert (time.thread_time() - began) / 20_000 < 50e-6


@pytest.mark.slow
def test_the_index_of_500_000_entries_is_a_few_megabytes() -> None:
    index = FeedIndex.build(("domain", f"host.evil{number}.example") for number in range(500_000))
    assert index.size == 500_000
    assert not any((*index.starts, *index.ends))
    assert index.hashes.nbytes + len(index.filter) < 7_000_000
    assert index.host("www.host.evil499999.example")
    assert not index.host("host.evil500000.example")
