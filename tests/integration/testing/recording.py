"""A detector that finds nothing and remembers what it was told, for both frameworks' tests of provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from guardrails_plugin import Context, Engine, Recipe
from guardrails_plugin.types import Finding, Stage, Text


class Recording:
    """Remembers the texts and the context of every check."""

    name = "recording"
    entity_types: frozenset[str] = frozenset()
    categories: Mapping[str, frozenset[str]] = {}

    def __init__(self) -> None:
        self.seen: list[tuple[list[str], Context]] = []

    def detect(self, texts: Sequence[Text], context: Context) -> Sequence[Sequence[Finding]]:
        """Nothing."""
        self.seen.append(([text.original for text in texts], context))
        return [()] * len(texts)


def recording_engine(**options: Any) -> tuple[Engine, dict[str, Recording]]:
    """An engine whose stages only record, and their detectors by stage."""
    stages = {stage.value: Recording() for stage in Stage}
    recipes = [
        Recipe.model_validate(
            {"name": stage, "stage": stage, "rules": [{"detector": f"recording_{stage}", "action": "report"}]}
        )
        for stage in stages
    ]
    for stage, detector in stages.items():
        detector.name = f"recording_{stage}"
    named = {detector.name: detector for detector in stages.values()}
    return Engine(recipes=recipes, detectors=named, **options), stages
