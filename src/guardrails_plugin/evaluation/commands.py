"""``guardrails-plugin eval``: quality on a labelled dataset, or thresholds for one's own traffic."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails_plugin.detectors.prompt_injection import PromptInjection
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.evaluation.chosen import add_detector_options, chosen_engine, chosen_rule
from guardrails_plugin.evaluation.split import is_held_back
from guardrails_plugin.types import Origin

if TYPE_CHECKING:
    from guardrails_plugin.engine import Engine
    from guardrails_plugin.evaluation.datasets import Row
    from guardrails_plugin.evaluation.evaluate import Scored
    from guardrails_plugin.evaluation.metrics import Interval, Quality
    from guardrails_plugin.evaluation.recalibration import Recalibration
    from guardrails_plugin.recipes.recipe import Rule

__all__ = ["add_eval_command"]


def add_eval_command(commands: Any) -> None:
    """Adds the command to a command line."""
    parser = commands.add_parser("eval", help="measure a detector on labelled texts, or calibrate it on a benign log")
    parser.add_argument(
        "dataset",
        type=Path,
        nargs="+",
        help=".jsonl or .csv with text, label (1 or 0), and category, lang, origin, pair if any; or a folder of .jsonl",
    )
    parser.add_argument("--held-back", action="store_true", help="only every fifth pair, which `train` holds back")
    add_detector_options(parser)
    parser.add_argument(
        "--origin", default=Origin.USER.value, choices=[origin.value for origin in Origin], help="of rows without one"
    )
    parser.add_argument(
        "--threshold",
        help="operating point or number (default: of --rule; balanced; 0.5 for detectors without operating points)",
    )
    parser.add_argument("--fpr", type=float, help="choose the threshold by this false-positive rate on the dataset")
    parser.add_argument("--least", type=int, default=10, help="rows of a group that is shown (default: %(default)s)")
    parser.add_argument(
        "--calibrate", action="store_true", help="write the rule with thresholds for these benign texts"
    )
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
    for name in ("fpr", "rate"):
        value = getattr(options, name)
        if value is not None and not 0 < value < 1:
            raise ConfigError(f"--{name}: expected a rate between 0 and 1, got {value}")
    if options.allow_repeated is not None and options.detector != PromptInjection.name:
        raise ConfigError(f"--allow-repeated: only {PromptInjection.name} has a list of allowed texts")
    rule = chosen_rule(options)
    engine = chosen_engine(options, rule)
    return _calibrate(options, rule, engine) if options.calibrate else _measure(options, rule, engine)


def _measure(options: argparse.Namespace, rule: Rule, engine: Engine) -> int:
    from guardrails_plugin.evaluation.evaluate import GROUPINGS, groups

    limits = _limits(options, rule, engine)
    # Before the texts are scored, so that a model without operating points is told at once.
    given = {} if options.fpr else {origin: _number(limit, rule, engine, origin) for origin, limit in limits.items()}
    scored = _scored(options, engine, _rows(options, labelled=True))
    thresholds = given or _at_rate(scored, options.fpr)
    tables = {by: groups(scored, thresholds, by, least=1 if by == "all" else options.least) for by in GROUPINGS}
    if options.json:
        print(json.dumps({"thresholds": _named(thresholds, scored), "groups": _plain(tables)}))
    else:
        _show(tables, _named(thresholds, scored))
    return 0


def _rows(options: argparse.Namespace, *, labelled: bool) -> list[Row]:
    from guardrails_plugin.evaluation.datasets import read_rows

    rows = [row for path in options.dataset for row in read_rows(path, labelled=labelled)]
    if not options.held_back:
        return rows
    held = [row for row in rows if is_held_back(row.text, row.pair)]
    if not held:
        raise ConfigError(f"--held-back: none of {len(rows)} rows is")
    return held


def _scored(options: argparse.Namespace, engine: Engine, rows: Sequence[Row]) -> Scored:
    from rich.console import Console
    from rich.progress import Progress

    from guardrails_plugin.evaluation.evaluate import score_rows

    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as progress:
        task = progress.add_task("scoring", total=len(rows))
        advance: Callable[[int], None] = lambda some: progress.advance(task, some)  # noqa: E731 - typed for both checkers
        return score_rows(engine, options.detector, rows, Origin(options.origin), advance=advance)


def _limits(options: argparse.Namespace, rule: Rule, engine: Engine) -> dict[Origin, float | str]:
    """Number or operating point by origin: as asked, of the rule's file, or the detector's default."""
    if options.threshold:
        return dict.fromkeys(Origin, _number_or_name(options.threshold))
    if "threshold" in rule.model_fields_set:
        return dict(rule.threshold)
    return dict.fromkeys(Origin, "balanced" if engine.scores(rule.detector) else 0.5)


def _number(limit: float | str, rule: Rule, engine: Engine, origin: Origin) -> float:
    return engine.operating_point(rule.detector, limit, origin=origin) if isinstance(limit, str) else limit


def _at_rate(scored: Scored, rate: float) -> dict[Origin, float]:
    """Thresholds that so many of the dataset's benign texts reach, by origin."""
    import numpy as np

    from guardrails_plugin.evaluation.metrics import threshold_at

    benign = {
        origin: scored.scores[
            [o is origin and not row.label for o, row in zip(scored.origins, scored.rows, strict=True)]
        ]
        for origin in Origin
    }
    everything = np.concatenate(list(benign.values()))
    if not len(everything):
        raise ConfigError("--fpr: the dataset has no benign rows")
    return {origin: threshold_at(own if len(own) else everything, rate) for origin, own in benign.items()}


def _calibrate(options: argparse.Namespace, rule: Rule, engine: Engine) -> int:
    from guardrails_plugin.evaluation.recalibration import recalibrated, rule_lines

    rows = _rows(options, labelled=False)
    benign = [row for row in rows if not row.label]
    if not benign:
        raise ConfigError(f"--calibrate: all of {len(rows)} rows are labelled 1, it takes benign ones")
    chosen, old = _so_far(options, rule, engine)
    scored = _scored(options, engine, benign)
    allow = _repeated(scored, old, options.allow_repeated)
    found = {}
    for origin in Origin:
        own = [n for n, row in enumerate(benign) if scored.origins[n] is origin and row.text not in allow]
        if own:
            result = found[origin.value] = recalibrated(scored.scores[own], options.rate, old.get(origin))
            if result.threshold is not None:
                chosen[origin] = result.threshold
    new = rule_lines(_changed(rule, chosen, allow))
    if options.out:
        options.out.write_text(new, "utf-8")
    left_out = len(rows) - len(benign)
    if options.json:
        report = {origin: asdict(result) for origin, result in found.items()}
        print(json.dumps({"origins": report, "left_out": left_out, "allowed": len(allow), "rule": new}))
    else:
        lines = [f"{left_out} rows labelled 1 left out"] if left_out else []
        lines += [_told(name, result) for name, result in found.items()]
        print(*lines, f"rule written to {options.out}" if options.out else f"\n{new}", sep="\n")
    return 0


def _so_far(
    options: argparse.Namespace, rule: Rule, engine: Engine
) -> tuple[dict[Origin, float | str], dict[Origin, float]]:
    """The thresholds up to now, as they are written and as numbers.

    A model of other makers may have no operating points: then there is no number, and 0.5 is written, which a rule
    takes where it says nothing.
    """
    written, numbers = _limits(options, rule, engine), {}
    for origin, limit in written.items():
        try:
            numbers[origin] = _number(limit, rule, engine, origin)
        except ConfigError:
            if options.threshold or options.allow_repeated is not None:
                raise  # the message says how to give one
            written[origin] = 0.5
    return written, numbers


def _changed(rule: Rule, thresholds: Mapping[Origin, float | str], allow: set[str]) -> Rule:
    by_name = {origin: thresholds[origin] for origin in sorted(thresholds)}
    if not allow:
        return rule.model_copy(update={"threshold": by_name})
    settings = {**rule.settings, "allow": sorted({*rule.settings.get("allow", ()), *allow})}
    return rule.model_copy(update={"threshold": by_name, "settings": settings})


def _told(name: str, result: Recalibration) -> str:
    promise = (
        f"threshold {result.threshold:.6f}"
        if result.threshold is not None
        else f"no threshold promises that: it takes at least {result.needed} benign rows scoring below 1"
    )
    so_far = "" if result.flagged_before is None else f", {result.flagged_before:.2%} flagged so far"
    return f"{name}: {result.rows} benign rows{so_far}; for {result.rate:.2%}: {promise}"


def _repeated(scored: Scored, old: Mapping[Origin, float], times: int | None) -> set[str]:
    """Flagged texts that the log has so often that they are part of the application."""
    if times is None:
        return set()
    counts = Counter(row.text for row in scored.rows)
    flagged = {
        row.text
        for row, score, limit in zip(scored.rows, scored.scores, scored.thresholds(old), strict=True)
        if score >= limit
    }
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
