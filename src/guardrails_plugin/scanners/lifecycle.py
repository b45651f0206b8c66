"""Custom scanners from draft to production, and which of them count for whom.

>>> from guardrails_plugin.scanners.model import Keywords
>>> scanners = Scanners()
>>> made = scanners.create("No Falcon", Keywords(terms=("project falcon",)))
>>> scanners.test(made.id, {"About project falcon": True, "About birds": False}).passed
True
>>> scanners.publish(made.id).newest.state.value
'published'
"""

from __future__ import annotations

import re
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from pydantic import ValidationError

from guardrails_plugin.detectors.judge import ChatModel
from guardrails_plugin.detectors.similarity import Embedder
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.recipes import Recipe
from guardrails_plugin.recipes.recipe import explain
from guardrails_plugin.scanners.model import Definition, Scanner, Scope, State, Version
from guardrails_plugin.scanners.rules import ScannerRules, scanned, scanner_rules
from guardrails_plugin.scanners.store import MemoryStore, Store
from guardrails_plugin.types import Stage

__all__ = ["Outcome", "Scanners", "TestReport"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one trial text fared. ``number`` counts from 1; the text itself is the caller's."""

    number: int
    expected: bool
    flagged: bool


@dataclass(frozen=True, slots=True)
class TestReport:
    """What trying a scanner came to."""

    __test__ = False
    outcomes: tuple[Outcome, ...]

    @property
    def passed(self) -> bool:
        """True when every text fared as expected."""
        return all(outcome.expected == outcome.flagged for outcome in self.outcomes)

    @property
    def wrong(self) -> tuple[int, ...]:
        """Numbers of the texts that did not."""
        return tuple(outcome.number for outcome in self.outcomes if outcome.expected != outcome.flagged)


class Scanners:
    """The scanners of a store.

    Args:
        store: in memory by default.
        judge: chat model for natural-language definitions.
        embedder: of examples; the embedded encoder by default.
        clock: the time now, with a zone.
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        judge: ChatModel | None = None,
        embedder: Embedder | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(timezone.utc),
    ) -> None:
        self._store = MemoryStore() if store is None else store
        self._judge = judge
        self._embedder = embedder
        self._clock = clock
        self._lock = threading.RLock()

    def all(self) -> tuple[Scanner, ...]:
        """Every scanner, by id."""
        return tuple(scanner for _, scanner in sorted(self._store.all().items()))

    def get(self, scanner_id: str) -> Scanner:
        """One scanner.

        Raises:
            ConfigError: there is no such id; the message lists those that are.
        """
        known = self._store.all()
        if scanner_id not in known:
            raise unknown_name("scanner", scanner_id, known)
        return known[scanner_id]

    def create(self, name: str, definition: Definition, *, description: str = "", **fields: Any) -> Scanner:
        """A new scanner, as a draft.

        Args:
            name: for people; its id is made from it.
            definition: what it looks for.
            description: for people.
            fields: of the version: direction, action, message, threshold, scope, expires_at, created_by.

        Raises:
            ConfigError: a field is wrong, or the definition cannot be compiled.
        """
        version = {"number": 1, "definition": definition, "created_at": self._clock(), **fields}
        with self._lock:
            return self._put({"id": self._id(name), "name": name, "description": description, "versions": [version]})

    def edit(
        self, scanner_id: str, *, name: str | None = None, description: str | None = None, **fields: Any
    ) -> Scanner:
        """Back to a draft with the changes. A published version stays for those who pin it, nobody else uses it.

        Args:
            scanner_id: which.
            name: new name.
            description: new description.
            fields: of the version, see `create`; also ``definition``.
        """
        with self._lock:
            scanner = self.get(scanner_id)
            newest = scanner.newest
            open_ = newest.state in (State.DRAFT, State.TESTED)
            number = newest.number if open_ else newest.number + 1
            own = {"number": number, "state": State.DRAFT, "created_at": self._clock(), "published_at": None}
            version = {**dict(newest), **fields, **own}
            kept = scanner.versions[:-1] if open_ else scanner.versions
            changed = {
                "name": name or scanner.name,
                "description": scanner.description if description is None else description,
            }
            return self._put({**dict(scanner), **changed, "versions": [*kept, version]})

    def test(self, scanner_id: str, texts: Mapping[str, bool]) -> TestReport:
        """Try the newest version on texts; a draft that flags exactly the expected ones becomes tested.

        Args:
            scanner_id: which.
            texts: each with whether it should be flagged; at least one of either kind is wise, one text is needed.

        Raises:
            ConfigError: no texts.
        """
        if not texts:
            raise ConfigError("scanners: test: expected at least one text with what is expected of it")
        scanner = self.get(scanner_id)
        engine = self._engine(scanner_rules([(scanner, scanner.newest)], judge=self._judge, embedder=self._embedder))
        results = engine.check_batch(list(texts), stage=Stage.PROMPT, recipe=_TRIAL)
        failed = [failure for result in results for failure in result.failures]
        if failed:
            raise ConfigError(f"scanners: test: {scanner.id!r} failed: {failed[0].failure}")
        report = TestReport(
            tuple(
                Outcome(number, expected, bool(result.findings))
                for number, (expected, result) in enumerate(zip(texts.values(), results, strict=True), 1)
            )
        )
        if report.passed and scanner.newest.state is State.DRAFT:
            self._changed(scanner, state=State.TESTED)
        return report

    def publish(self, scanner_id: str, **fields: Any) -> Scanner:
        """Into production: the tested version is now the active one.

        Args:
            scanner_id: which.
            fields: decided on the occasion: action, message, scope, direction, expires_at.

        Raises:
            ConfigError: it is a draft that no test has passed, or a field concerns what was tested.
        """
        with self._lock:
            scanner = self.get(scanner_id)
            if scanner.newest.state is State.DRAFT:
                raise ConfigError(f"scanner {scanner_id!r}: version {scanner.newest.number} is a draft; test it first")
            if tested := {"definition", "threshold"} & fields.keys():
                raise ConfigError(f"scanner {scanner_id!r}: {', '.join(sorted(tested))} can only be changed by editing")
            return self._changed(scanner, **fields, state=State.PUBLISHED, published_at=self._clock())

    def unpublish(self, scanner_id: str, number: int | None = None) -> Scanner:
        """Out of production: one published version, or all of them.

        Raises:
            ConfigError: there is no such published version.
        """
        with self._lock:
            scanner = self.get(scanner_id)
            chosen = [v for v in scanner.versions if v.state is State.PUBLISHED and number in (None, v.number)]
            if not chosen:
                which = "published version" if number is None else f"published version {number}"
                raise ConfigError(f"scanner {scanner_id!r} has no {which}")
            versions = [
                {**dict(version), "state": State.UNPUBLISHED} if version in chosen else version
                for version in scanner.versions
            ]
            return self._put({**dict(scanner), "versions": versions})

    def duplicate(self, scanner_id: str, name: str = "") -> Scanner:
        """A new draft like the newest version."""
        scanner = self.get(scanner_id)
        own = {"number", "state", "created_at", "published_at", "definition"}
        fields = {key: value for key, value in scanner.newest if key not in own}
        return self.create(
            name or f"{scanner.name} copy", scanner.newest.definition, description=scanner.description, **fields
        )

    def delete(self, scanner_id: str) -> None:
        """Away with it, all versions."""
        with self._lock:
            self.get(scanner_id)
            self._store.remove(scanner_id)

    def active(self, caller: Scope, pins: Mapping[str, int] | None = None) -> tuple[tuple[Scanner, Version], ...]:
        """The scanners that count for a caller, each with the version in use.

        Args:
            caller: projects, groups and users that ask.
            pins: scanner id -> version that the caller's project pinned.
        """
        now, pinned = self._clock(), pins or {}
        in_use = ((scanner, scanner.active(now, pinned.get(scanner.id))) for scanner in self.all())
        return tuple((scanner, version) for scanner, version in in_use if version and version.scope.covers(caller))

    def rules_for(self, caller: Scope, stage: Stage | str, pins: Mapping[str, int] | None = None) -> ScannerRules:
        """What an engine runs for a caller at a stage; see `active`."""
        where = Stage(stage)
        chosen = [
            (scanner, version) for scanner, version in self.active(caller, pins) if scanned(version.direction, where)
        ]
        return scanner_rules(chosen, judge=self._judge, embedder=self._embedder)

    def _changed(self, scanner: Scanner, **fields: Any) -> Scanner:
        return self._put({**dict(scanner), "versions": [*scanner.versions[:-1], {**dict(scanner.newest), **fields}]})

    def _put(self, content: Mapping[str, Any]) -> Scanner:
        try:
            scanner = Scanner.model_validate(content)
        except ValidationError as error:
            raise explain(error, "scanner") from None
        if scanner.newest.definition.kind != "natural_language":  # needs a model, which may come later
            self._engine(scanner_rules([(scanner, scanner.newest)], embedder=self._embedder))
        self._store.put(scanner)
        return scanner

    def _engine(self, rules: ScannerRules) -> Engine:
        engine = Engine(recipes=Recipe(name=_TRIAL, rules=rules.rules), detectors=rules.detectors)
        engine.fingerprint(stage=Stage.PROMPT, recipe=_TRIAL)  # compiles, so that a wrong pattern is refused now
        return engine

    def _id(self, name: str) -> str:
        base = re.sub(r"[^a-z0-9]+", "-", name.casefold()).strip("-")[:48] or "scanner"
        return base if base not in self._store.all() else f"{base}-{secrets.token_hex(3)}"


_TRIAL = "scanner trial"
