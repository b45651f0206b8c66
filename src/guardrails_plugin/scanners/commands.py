"""``guardrails-plugin scanners ACTION``: custom scanners in a JSON file, from draft to production."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.scanners.lifecycle import Scanners
from guardrails_plugin.scanners.model import (
    Definition,
    Examples,
    Keywords,
    NaturalLanguage,
    RegularExpressions,
    Scanner,
)
from guardrails_plugin.scanners.store import JsonStore

__all__ = ["add_scanners_command"]

_FAILED = 1


def add_scanners_command(commands: Any) -> None:
    """Adds ``scanners`` and its actions to the parser's commands."""
    actions = commands.add_parser("scanners", help="custom scanners: draft, test, publish").add_subparsers(
        required=True, metavar="ACTION"
    )
    _action(actions, "list", _list, "every scanner and the state of its newest version", needs_id=False)
    _action(actions, "show", _show, "one scanner with all versions")
    add = _action(actions, "add", _add, "a new scanner, as a draft", needs_id=False)
    add.add_argument("name")
    _definition(add)
    add.add_argument("--description", default="")
    _fields(add)
    edit = _action(actions, "edit", _edit, "back to a draft, with changes")
    _definition(edit)
    _fields(edit)
    test = _action(actions, "test", _test, "try the newest version; a draft that passes counts as tested")
    test.add_argument("--flagged", action="append", default=[], metavar="TEXT", help="a text that must be flagged")
    test.add_argument("--clean", action="append", default=[], metavar="TEXT", help="a text that must not be")
    test.add_argument("--file", type=Path, help='JSON lines: {"text": ..., "flagged": true}')
    _fields(_action(actions, "publish", _publish, "the tested version into production"))
    unpublish = _action(actions, "unpublish", _unpublish, "out of production")
    unpublish.add_argument("--version", type=int, help="one version; all by default")
    duplicate = _action(actions, "duplicate", _duplicate, "a new draft like it")
    duplicate.add_argument("--name", default="")
    _action(actions, "delete", _delete, "away with all versions")


def _action(
    actions: Any, name: str, run: Callable[[argparse.Namespace], int], help_: str, *, needs_id: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=help_)
    if needs_id:
        parser.add_argument("id")
    parser.add_argument("--store", type=Path, default=Path("scanners.json"), help="JSON file (./scanners.json)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)
    return parser


def _definition(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keyword", action="append", default=[], metavar="TERM", help="a word or sentence; repeatable")
    parser.add_argument("--regex", action="append", default=[], metavar="NAME=PATTERN", help="re2 syntax; repeatable")
    parser.add_argument("--example", action="append", default=[], metavar="TEXT", help="like this; repeatable")
    parser.add_argument("--unlike", action="append", default=[], metavar="TEXT", help="not like this; with --example")
    parser.add_argument("--describe", metavar="TEXT", help="in plain words, for a language model to judge")


def _fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--action", choices=["block", "audit"])
    parser.add_argument("--direction", choices=["request", "response", "both"])
    parser.add_argument("--message", help="told to the user when it blocks")
    parser.add_argument("--project", action="append", help="only for this project; repeatable")
    parser.add_argument("--group", action="append", help="only for this group; repeatable")
    parser.add_argument("--user", action="append", help="only for this user; repeatable")
    parser.add_argument("--expires", type=_time, metavar="TIME", help="2026-12-31T18:00:00+00:00; UTC by default")


def _time(given: str) -> datetime:
    try:
        # Python before 3.11 does not know the "Z".
        time = datetime.fromisoformat(re.sub(r"(?i)z$", "+00:00", given))
    except ValueError:
        expected = "an ISO 8601 date or time, such as 2026-12-31 or 2026-12-31T18:00:00+00:00"
        raise argparse.ArgumentTypeError(f"expected {expected}, got {given!r}") from None
    return time if time.tzinfo else time.replace(tzinfo=timezone.utc)


def _given_definition(options: argparse.Namespace) -> Definition | None:
    patterns = dict(_pair(pair) for pair in options.regex)
    made: list[Definition] = []
    if options.keyword:
        made.append(Keywords(terms=tuple(options.keyword)))
    if patterns:
        made.append(RegularExpressions(patterns=patterns))
    if options.example:
        made.append(Examples(examples=tuple(options.example), counter_examples=tuple(options.unlike)))
    if options.describe:
        made.append(NaturalLanguage(text=options.describe))
    if len(made) > 1:
        raise ConfigError("scanners: expected one kind of definition: --keyword, --regex, --example or --describe")
    return made[0] if made else None


def _pair(pair: str) -> tuple[str, str]:
    name, equals, pattern = pair.partition("=")
    if not (name and equals and pattern):
        raise ConfigError("scanners: --regex: expected NAME=PATTERN")
    return name, pattern


def _given_fields(options: argparse.Namespace) -> dict[str, Any]:
    fields = {
        "action": options.action,
        "direction": options.direction,
        "message": options.message,
        "expires_at": options.expires,
    }
    if options.project or options.group or options.user:
        fields["scope"] = {
            "projects": options.project or [],
            "groups": options.group or [],
            "users": options.user or [],
        }
    return {name: value for name, value in fields.items() if value is not None}


def _scanners(options: argparse.Namespace) -> Scanners:
    return Scanners(JsonStore(options.store))


def _list(options: argparse.Namespace) -> int:
    found = _scanners(options).all()
    if options.json:
        _print("[" + ", ".join(scanner.model_dump_json() for scanner in found) + "]")
        return 0
    if not found:
        sys.stderr.write(f"guardrails-plugin: no scanners in {options.store}\n")
    for scanner in found:
        newest = scanner.newest
        kind = newest.definition.kind.replace("_", " ")
        _print(f"{scanner.id:<24} v{newest.number} {newest.state:<12} {newest.action:<6} {newest.direction:<9} {kind}")
    return 0


def _show(options: argparse.Namespace) -> int:
    _print(_scanners(options).get(options.id).model_dump_json(indent=2))
    return 0


def _add(options: argparse.Namespace) -> int:
    definition = _given_definition(options)
    if definition is None:
        raise ConfigError("scanners: add: expected a definition: --keyword, --regex, --example or --describe")
    made = _scanners(options).create(
        options.name, definition, description=options.description, **_given_fields(options)
    )
    return _told(options, made)


def _edit(options: argparse.Namespace) -> int:
    definition = _given_definition(options)
    fields: dict[str, Any] = _given_fields(options) | ({} if definition is None else {"definition": definition})
    return _told(options, _scanners(options).edit(options.id, **fields))


def _test(options: argparse.Namespace) -> int:
    texts = dict.fromkeys(options.clean, False) | dict.fromkeys(options.flagged, True) | _trials(options.file)
    report = _scanners(options).test(options.id, texts)
    if options.json:
        _print(json.dumps({"passed": report.passed, "wrong": report.wrong, "texts": len(report.outcomes)}))
    else:
        _print(f"passed: {len(report.outcomes)} texts" if report.passed else f"wrong: texts {_numbers(report.wrong)}")
    return 0 if report.passed else _FAILED


def _numbers(numbers: Sequence[int]) -> str:
    return ", ".join(map(str, numbers))


def _trials(path: Path | None) -> dict[str, bool]:
    if path is None:
        return {}
    texts: dict[str, bool] = {}
    for number, line in enumerate(path.read_text("utf-8-sig").splitlines(), 1):
        try:
            row = json.loads(line)
            texts[str(row["text"])] = bool(row["flagged"])
        except (ValueError, KeyError, TypeError):
            raise ConfigError(f'{path.name}: line {number}: expected {{"text": ..., "flagged": true}}') from None
    return texts


def _publish(options: argparse.Namespace) -> int:
    return _told(options, _scanners(options).publish(options.id, **_given_fields(options)))


def _unpublish(options: argparse.Namespace) -> int:
    return _told(options, _scanners(options).unpublish(options.id, options.version))


def _duplicate(options: argparse.Namespace) -> int:
    return _told(options, _scanners(options).duplicate(options.id, options.name))


def _delete(options: argparse.Namespace) -> int:
    _scanners(options).delete(options.id)
    _print(json.dumps({"deleted": options.id}) if options.json else f"{options.id}: deleted")
    return 0


def _told(options: argparse.Namespace, scanner: Scanner) -> int:
    newest = scanner.newest
    _print(scanner.model_dump_json() if options.json else f"{scanner.id}: version {newest.number} is {newest.state}")
    return 0


def _print(line: str) -> None:
    print(line)  # noqa: T201 - a command line prints
