"""``guardrails-plugin eval``: quality on a labelled dataset, or thresholds for one's own traffic."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.types import Origin

if TYPE_CHECKING:
    from guardrails_plugin.engine import Engine
    from guardrails_plugin.evaluation.evaluate import Scored
    from guardrails_plugin.evaluation.metrics import Interval, Quality

__all__ = ["add_eval_command"]


def add_eval_command(commands: Any) -> None:
    """Adds the command to a command line."""
    parser = commands.add_parser("eval", help="measure a detector on labelled texts, or calibrate it on a benign log")
    parser.add_argument(
        "dataset", type=Path, help=".jsonl or .csv with text, label (1 or 0), and category, lang, origin if any"
    )
    parser.add_argument("--detector", default="prompt_injection", help="which one (default: %(default)s)")
    parser.add_argument("--model", type=Path, help="folder of an injection model other than the embedded one")
    parser.add_argument(
        "--origin", default=Origin.USER.value, choices=[origin.value for origin in Origin], help="of rows without one"
    )
    parser.add_argument(
        "--threshold", help="operating point or number (default: balanced; 0.5 for detectors without operating points)"
    )
    parser.add_argument("--fpr", type=float, help="choose the threshold by this false-positive rate on the dataset")
    parser.add_argument("--least", type=int, default=10, help="rows of a group that is shown (default: %(default)s)")
    parser.add_argument("--calibrate", action="store_true", help="all rows are benign: write thresholds for them")
    parser.add_argument("--rate", type=float, default=0.01, help="with --calibrate: false-positive rate wanted")
    parser.add_argument(
        "--allow-repeated",
        type=int,
        metavar="N",
        help="with --calibrate: allow texts that occur N times and are flagged",
    )
    parser.add_argument("--out", type=Path, help="with --calibrate: file for the rule; else it is printed")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    # Deferred: numpy, and an engine, for this command alone.
    from guardrails_plugin.engine import Engine

    for name in ("fpr", "rate"):
        value = getattr(options, name)
        if value is not None and not 0 < value < 1:
            raise ConfigError(f"--{name}: expected a rate between 0 and 1, got {value}")
    engine = Engine(detectors=_detectors(options))
    options.threshold = options.threshold or ("balanced" if engine.scores(options.detector) else "0.5")
    return _calibrate(options, engine) if options.calibrate else _measure(options, engine)


def _detectors(options: argparse.Namespace) -> dict[str, Any]:
    """The detector with another model, if one is asked for."""
    if options.model is None:
        return {}
    from guardrails_plugin.detectors.prompt_injection import PromptInjection

    if options.detector != PromptInjection.name:
        raise ConfigError(f"--model: detector {options.detector!r} has no model; valid: {PromptInjection.name}")
    return {PromptInjection.name: PromptInjection(model=options.model)}


def _measure(options: argparse.Namespace, engine: Engine) -> int:
    from guardrails_plugin.evaluation.evaluate import GROUPINGS, groups

    scored = _scored(options, engine, labelled=True)
    thresholds = _thresholds(options, engine, scored)
    tables = {by: groups(scored, thresholds, by, least=1 if by == "all" else options.least) for by in GROUPINGS}
    if options.json:
        print(json.dumps({"thresholds": _named(thresholds, scored), "groups": _plain(tables)}))
    else:
        _show(tables, _named(thresholds, scored))
    return 0


def _scored(options: argparse.Namespace, engine: Engine, *, labelled: bool) -> Scored:
    from rich.console import Console
    from rich.progress import Progress

    from guardrails_plugin.evaluation.datasets import read_rows
    from guardrails_plugin.evaluation.evaluate import score_rows

    rows = read_rows(options.dataset, labelled=labelled)
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("scoring", total=len(rows))
        advance: Callable[[int], None] = lambda some: progress.advance(task, some)  # noqa: E731 - typed for both checkers
        return score_rows(engine, options.detector, rows, Origin(options.origin), advance=advance)


def _thresholds(options: argparse.Namespace, engine: Engine, scored: Scored) -> dict[Origin, float]:
    """By origin: chosen on the dataset, a number, or an operating point."""
    import numpy as np

    from guardrails_plugin.evaluation.metrics import threshold_at

    if options.fpr is None:
        given = _number_or_name(options.threshold)
        return {
            origin: given
            if isinstance(given, (int, float))
            else engine.operating_point(options.detector, given, origin=origin)
            for origin in Origin
        }
    benign = {
        origin: scored.scores[
            [o is origin and not row.label for o, row in zip(scored.origins, scored.rows, strict=True)]
        ]
        for origin in Origin
    }
    everything = np.concatenate(list(benign.values()))
    if not len(everything):
        raise ConfigError(f"{options.dataset.name}: no benign rows, --fpr needs some")
    return {origin: threshold_at(own if len(own) else everything, options.fpr) for origin, own in benign.items()}


def _calibrate(options: argparse.Namespace, engine: Engine) -> int:
    from guardrails_plugin.evaluation.recalibration import recalibrated, recipe_lines

    scored = _scored(options, engine, labelled=False)
    old = scored.thresholds(_thresholds(argparse.Namespace(**{**vars(options), "fpr": None}), engine, scored))
    allow = _repeated(scored, old, options.allow_repeated)
    kept = [number for number, row in enumerate(scored.rows) if row.text not in allow]
    chosen: dict[str, float | str] = {origin.value: _number_or_name(options.threshold) for origin in Origin}
    found = {}
    for origin in Origin:
        own = [number for number in kept if scored.origins[number] is origin]
        if own:
            result = found[origin.value] = recalibrated(scored.scores[own], options.rate, old[own])
            if result.threshold is not None:
                chosen[origin.value] = result.threshold
    rule = recipe_lines(options.detector, chosen, sorted(allow))
    if options.out:
        options.out.write_text(rule, "utf-8")
    if options.json:
        report = {origin: asdict(result) for origin, result in found.items()}
        print(json.dumps({"origins": report, "allowed": len(allow), "rule": rule}))
        return 0
    for name, result in found.items():
        promise = (
            f"threshold {result.threshold:.6f}"
            if result.threshold is not None
            else f"no threshold promises that: it takes at least {result.needed} benign rows scoring below 1"
        )
        print(
            f"{name}: {result.rows} benign rows, {result.flagged_before:.2%} flagged so far; "
            f"for {result.rate:.2%}: {promise}"
        )
    print(f"rule written to {options.out}" if options.out else f"\n{rule}")
    return 0


def _repeated(scored: Scored, old: Any, times: int | None) -> set[str]:
    """Flagged texts that the log has so often that they are part of the application."""
    if times is None:
        return set()
    counts = Counter(row.text for row in scored.rows)
    flagged = {row.text for row, score, limit in zip(scored.rows, scored.scores, old, strict=True) if score >= limit}
    return {text for text in flagged if counts[text] >= times}


def _number_or_name(threshold: str) -> float | str:
    try:
        return float(threshold)
    except ValueError:
        return threshold


def _named(thresholds: dict[Origin, float], scored: Scored) -> dict[str, float]:
    present = set(scored.origins)
    return {origin.value: round(limit, 6) for origin, limit in thresholds.items() if origin in present}


def _plain(tables: dict[str, dict[str, Quality]]) -> dict[str, dict[str, Any]]:
    return {by: {name: asdict(own) for name, own in table.items()} for by, table in tables.items()}


def _show(tables: dict[str, dict[str, Quality]], thresholds: dict[str, float]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table("group", "positives", "negatives", "recall", "false positives", "precision", "AUC")
    for by, own in tables.items():
        for name, quality in own.items():
            label = name if by == "all" else f"{by} {name}"
            cells = (_interval(quality.recall), _interval(quality.false_positive_rate), _share(quality.precision))
            table.add_row(Text(label), str(quality.positives), str(quality.negatives), *cells, _interval(quality.auc))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    limits = ", ".join(f"{origin} {limit}" for origin, limit in thresholds.items())
    console.print(Text(f"thresholds: {limits}; ranges are 95 %"))


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"{interval.value:.3f} ({interval.low:.3f}-{interval.high:.3f})"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
