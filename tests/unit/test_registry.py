"""Names to classes, and what is said when there is no such name."""

from __future__ import annotations

import pytest

from guardrails_plugin import ConfigError, registry


@pytest.mark.parametrize("kind", registry.KINDS)
def test_everything_in_the_tables_can_be_loaded(kind: str) -> None:
    for name in registry.KINDS[kind]:
        assert registry.load(kind, name).__name__.lower().removesuffix("sink") == name.replace("_", "")


def test_an_unknown_name_is_refused_with_the_valid_ones() -> None:
    with pytest.raises(ConfigError, match="unknown action 'blok'; valid: block, defang"):
        registry.load("actions", "blok")


class _Point:
    name, value = "mine", "tests.unit.test_registry:_Point"


class _Broken:
    name, value = "broken", "no_such_module:Thing"


def test_entry_points_join_but_cannot_take_a_built_in_name(monkeypatch: pytest.MonkeyPatch) -> None:
    class Thief:
        name, value = "pii", "tests.unit.test_registry:_Point"

    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: [_Point, _Broken, Thief])
    registry._table.cache_clear()
    try:
        assert "mine" in registry.names("detectors")
        assert registry.load("detectors", "mine").__name__ == "_Point"
        assert registry.load("detectors", "pii").__name__ == "Pii"
        with pytest.raises(ConfigError, match="registered as 'no_such_module:Thing', which cannot be loaded"):
            registry.load("detectors", "broken")
    finally:
        registry._table.cache_clear()
