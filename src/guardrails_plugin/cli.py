"""The command line: ``guardrails-plugin check | score | eval | recipes | train | serve | audit``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from guardrails_plugin import __version__
from guardrails_plugin.cli_input import content_of, read_text
from guardrails_plugin.cli_recipes import add_recipes_command
from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, GuardError
from guardrails_plugin.evaluation.chosen import add_detector_options, chosen_engine, chosen_rule
from guardrails_plugin.evaluation.commands import add_eval_command
from guardrails_plugin.scanners.commands import add_scanners_command
from guardrails_plugin.types import GuardResult, Origin, Stage

__all__ = ["main"]

_BLOCKED = 1
_USAGE = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Returns:
        0, or 1 when `check` blocked the content or `audit verify` found a change, or 2 when something was wrong with
        the request.
    """
    options = _parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except GuardError as error:
        print(f"guardrails-plugin: {error}", file=sys.stderr)
        return _USAGE
    except OSError as error:
        reason = f"{error.filename or 'input'}: {error.strerror}" if error.strerror else str(error)
        print(f"guardrails-plugin: {reason}", file=sys.stderr)
        return _USAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="guardrails-plugin", description="Guard stages for LLM applications.")
    parser.add_argument("--version", action="version", version=f"guardrails-plugin {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    stages = [stage.value for stage in Stage]

    check = commands.add_parser("check", help="guard a text or a JSON of messages")
    check.add_argument("file", help="a file, or - for standard input; JSON is recognised")
    check.add_argument("--stage", default=Stage.PROMPT.value, choices=stages)
    check.add_argument("--recipe", help="name of a recipe; the stage's own by default")
    check.add_argument("--recipes", type=Path, help="a TOML file or folder with recipes of your own")
    check.add_argument("--text", action="store_true", help="do not read the input as JSON")
    check.set_defaults(run=_check)

    score = commands.add_parser("score", help="probability that each line is a prompt injection")
    score.add_argument("file", help="a file with one text a line, or - for standard input")
    add_detector_options(score)
    score.add_argument("--origin", default=Origin.USER.value, choices=[origin.value for origin in Origin])
    score.set_defaults(run=_score)

    add_recipes_command(commands)
    add_scanners_command(commands)
    add_eval_command(commands)

    train = commands.add_parser("train", help="train an injection model (needs the extra `train`)")
    train.add_argument("--data", type=Path, help="folder with the training files; none needed to tune on --own alone")
    train.add_argument("--out", type=Path, required=True, help="folder for the model")
    train.add_argument("--own", type=Path, help="folder with .jsonl or .jsonl.gz files of examples of your own")
    train.add_argument(
        "--base", default="e5", help="embedded (tunes the shipped model), e5, minilm, or the path of a model"
    )
    train.add_argument("--blind", type=Path, help="folder with such files that nothing is fitted by, only measured")
    train.add_argument("--minutes", type=float, help="end by the clock")
    train.add_argument(
        "--heads", type=Path, nargs="*", default=(), help="folders with rows of your own for further heads"
    )
    train.add_argument(
        "--new", default="", help="names of files in --own and --heads (plain7_*) to teach; others are rehearsed"
    )
    train.add_argument("--rehearse", type=int, help="most other rows beside those of --new, 12000 by default")
    train.add_argument("--keep", type=float, default=0.0, help="share of the base's weights in the result, below 1")
    train.add_argument(
        "--runs", type=Path, nargs="*", default=(), help="work folders of finished runs: their mean, and no training"
    )
    train.add_argument("--rate", type=float, help="learning rate, by default 1e-4, or 3e-5 for a finished model")
    train.add_argument("--deeper", action="store_true", help="two layers more than the finished model at --base has")
    train.add_argument("--seed", type=int, default=17, help="of the mixture and the order of rows")
    train.add_argument("--model-version", default="1", help="version that the artifact tells")
    train.add_argument(
        "--mine-with", type=Path, help="an earlier model, or embedded, by which hard benign rows are found"
    )
    train.set_defaults(run=_train)

    for command in (check, score, train):
        command.add_argument("--json", action="store_true", help="print JSON")
    _service_commands(commands)
    return parser


def _service_commands(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve the engine over HTTP (needs the extra `server`)",
        epilog="It is configured by environment variables; docs/service.md has them, the routes and the credentials.",
    )
    serve.add_argument("--host", default="127.0.0.1")
    serve.add_argument("--port", type=int, default=8000)
    serve.add_argument("--workers", type=int, default=1, help="processes")
    serve.add_argument("--dev", action="store_true", help="on loopback, with random credentials")
    serve.set_defaults(run=_serve)

    audit = commands.add_parser("audit", help="read the service's log").add_subparsers(required=True, metavar="ACTION")
    verify = audit.add_parser("verify", help="check that no record was changed, removed or added")
    verify.add_argument("--expect", default="", help="number:code that an earlier verify printed; must still be there")
    verify.add_argument("--json", action="store_true", help="print JSON")
    verify.set_defaults(run=_audit_verify)
    export = audit.add_parser("export", help="print the log as JSON lines")
    export.add_argument("--format", default="jsonl", choices=["jsonl", "ocsf"])
    export.set_defaults(run=_audit_export)


def _check(options: argparse.Namespace) -> int:
    text = read_text(options.file)
    content = text if options.text else content_of(text)
    engine = Engine(recipes=options.recipes)
    result = engine.check(content, stage=options.stage, recipe=options.recipe)
    if options.json:
        print(json.dumps(result.to_dict(), ensure_ascii=True))
    else:
        _show(result)
    return _BLOCKED if result.blocked else 0


def _show(result: GuardResult) -> None:
    # Deferred: rich costs more to import than a check takes.
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True)
    colour = {"ALLOW": "green", "REPORT": "blue", "TRANSFORM": "yellow", "BLOCK": "red"}[result.verdict.name]
    console.print(Text(f"{result.verdict.name} at {result.stage} ({result.seconds * 1000:.1f} ms)", style=colour))
    if result.decisions:
        table = Table("detector", "type", "score", "place", "action")
        for d in result.decisions:
            place = f"{d.finding.segment}:{d.finding.start}-{d.finding.end}"
            table.add_row(d.finding.detector, d.finding.entity_type, f"{d.finding.score:.2f}", place, d.action)
        console.print(table)
    if not result.blocked:
        plain = isinstance(result.output, str)
        output = result.output if plain else json.dumps(result.output, indent=2, ensure_ascii=False)
        # JSON may hold half a character; escaped, it is what it was.
        sys.stdout.buffer.write(output.encode("utf-8", "backslashreplace") + b"\n")


def _score(options: argparse.Namespace) -> int:
    lines = [line for line in read_text(options.file).splitlines() if line.strip()]
    engine = chosen_engine(options, chosen_rule(options))
    scores = engine.score(options.detector, lines, origin=options.origin)
    for number, score in enumerate(scores, 1):
        print(json.dumps({"line": number, "score": round(score, 4)}) if options.json else f"{score:.4f}  line {number}")
    return 0


def _train(options: argparse.Namespace) -> int:
    # Deferred: needs torch, which only training has.
    from guardrails_plugin.training import train

    try:
        folder = train(
            options.data,
            options.out,
            base=options.base,
            own=options.own,
            blind=options.blind,
            minutes=options.minutes,
            mine_with=options.mine_with,
            heads=options.heads,
            new=options.new,
            rehearse=options.rehearse,
            keep=options.keep,
            runs=options.runs,
            rate=options.rate,
            deeper=options.deeper,
            seed=options.seed,
            version=options.model_version,
        )
    except ModuleNotFoundError as error:
        raise ConfigError(f"train needs {error.name}: pip install 'guardrails-plugin[train]'") from None
    print(json.dumps({"model": str(folder)}) if options.json else f"model written to {folder}")
    return 0


def _serve(options: argparse.Namespace) -> int:
    # Deferred: the service's packages are an extra, and take a second to import.
    try:
        from guardrails_plugin.server.serve import serve
    except ModuleNotFoundError as error:
        raise _needs_server("serve", error) from None
    serve(options.host, options.port, workers=options.workers, dev=options.dev)
    return 0


def _audit_verify(options: argparse.Namespace) -> int:
    try:
        from guardrails_plugin.audit.sql import Broken
        from guardrails_plugin.server.audit_commands import verify
    except ModuleNotFoundError as error:
        raise _needs_server("audit", error) from None
    try:
        head = verify(options.expect)
    except Broken as broken:
        print(json.dumps({"intact": False, "record": broken.number, "why": str(broken)}) if options.json else broken)
        return _BLOCKED
    print(json.dumps({"intact": True, "head": str(head)}) if options.json else f"{head.number} records, intact: {head}")
    return 0


def _audit_export(options: argparse.Namespace) -> int:
    try:
        from guardrails_plugin.server.audit_commands import export
    except ModuleNotFoundError as error:
        raise _needs_server("audit", error) from None
    for line in export(options.format):
        print(line)
    return 0


def _needs_server(command: str, error: ModuleNotFoundError) -> ConfigError:
    return ConfigError(f"{command} needs {error.name}: pip install 'guardrails-plugin[server]'")


if __name__ == "__main__":
    sys.exit(main())
