"""``guardrails-plugin recipes list | show | validate | diff``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.recipes import Recipe, Rule, load_recipes
from guardrails_plugin.types import Stage

__all__ = ["add_recipes_command"]

_PLAIN = Rule(detector="x")
"""A rule with nothing but defaults, which are not worth showing."""

_WRONG = 2
"""Exit code when a file is wrong."""

_ANY = "any"
"""The stage of a recipe that has none of its own."""


def add_recipes_command(commands: Any) -> None:
    """Adds the command to a parser's subcommands."""
    recipes = commands.add_parser("recipes", help="list, show, validate or compare recipes and packs")
    actions = recipes.add_subparsers(required=True, metavar="ACTION")

    listed = actions.add_parser("list", help="every recipe, pack and policy")
    listed.set_defaults(run=_list)

    show = actions.add_parser("show", help="the rules of a recipe, stage by stage")
    show.add_argument("name")
    show.set_defaults(run=_show)

    validate = actions.add_parser("validate", help="check files of your own down to every detector and setting")
    validate.add_argument("files", type=Path, nargs="+", help="TOML files or folders")
    validate.add_argument("--json", action="store_true", help="print JSON")
    validate.set_defaults(run=_validate)

    diff = actions.add_parser("diff", help="what one recipe does otherwise than another; exit code 1 if anything")
    diff.add_argument("old")
    diff.add_argument("new")
    diff.set_defaults(run=_diff)

    for action in (show, diff):
        action.add_argument("--stage", choices=[stage.value for stage in Stage], help="this stage only")
    for action in (listed, show, diff):
        action.add_argument("--recipes", type=Path, help="a TOML file or folder with recipes of your own")
        action.add_argument("--json", action="store_true", help="print JSON")


def _list(options: argparse.Namespace) -> int:
    stages: dict[str, list[str]] = {}
    descriptions: dict[str, str] = {}
    for recipe in _known(options):
        stages.setdefault(recipe.name, []).append(_stage(recipe))
        descriptions[recipe.name] = recipe.description
    for name, where in stages.items():
        shown = "every stage" if len(where) == len(Stage) else ", ".join(where)
        row = {"name": name, "stages": where, "description": descriptions[name]}
        print(json.dumps(row) if options.json else f"{name:<17} {shown:<12} {descriptions[name]}")
    return 0


def _show(options: argparse.Namespace) -> int:
    for recipe in _named(options.name, options):
        if options.json:
            print(recipe.model_dump_json(exclude={"rules": {"__all__": {"allow"}}}))
            continue
        print(f"{recipe.name} at {recipe.stage or 'any stage'}: {recipe.description}")
        for rule in recipe.rules:
            print(f"  {rule.name:<18} {', '.join(_facts(rule))}")
    return 0


def _validate(options: argparse.Namespace) -> int:
    good = [_is_valid(file, options) for given in options.files for file in _files(given)]
    if not all(good):
        return _WRONG
    for folder in filter(Path.is_dir, options.files):
        load_recipes(folder)  # two of its files may use one name
    return 0


def _files(path: Path) -> list[Path]:
    return sorted(path.glob("*.toml")) or [path] if path.is_dir() else [path]


def _is_valid(file: Path, options: argparse.Namespace) -> bool:
    """Tells what is in a file, or what is wrong with it; the files behind it are told as well."""
    try:
        engine, own = Engine(recipes=file), load_recipes(file)
        for recipe in own:
            engine.fingerprint(stage=recipe.stage or Stage.PROMPT, recipe=recipe.name)
    except ConfigError as error:
        # Mistakes found while planning name the recipe, not the file.
        told = str(error) if file.name in str(error) else f"{file.name}: {error}"
        if options.json:
            print(json.dumps({"file": file.name, "error": told}))
        else:
            print(f"guardrails-plugin: {told}", file=sys.stderr)
        return False
    names = sorted({recipe.name for recipe in own})
    without = {rule.name: _left_out(rule) for recipe in own for rule in recipe.rules if rule.enabled and rule.missing}
    if options.json:
        print(json.dumps({"file": file.name, "recipes": names, **({"left_out": without} if without else {})}))
        return True
    print(f"{file.name}: {', '.join(names)}")
    for rule, why in without.items():
        print(f"{file.name}: rule {rule!r} is {why}", file=sys.stderr)
    return True


def _left_out(rule: Rule) -> str:
    return f"left out, not installed: {', '.join(rule.missing)}"


def _diff(options: argparse.Namespace) -> int:
    changes = list(_differences(_named(options.old, options), _named(options.new, options)))
    for where, change in changes:
        print(json.dumps({"stage": where, "change": change}) if options.json else f"{where:<11} {change}")
    return 1 if changes else 0


def _differences(old: list[Recipe], new: list[Recipe]) -> Iterator[tuple[str, str]]:
    """Where, and what: two single recipes whatever their stages, packs stage by stage."""
    if len(old) == len(new) == 1:
        stages = dict.fromkeys((_stage(old[0]), _stage(new[0])))
        yield from ((" -> ".join(stages), change) for change in _changes(old[0], new[0]))
        return
    before, after = ({_stage(recipe): recipe for recipe in side} for side in (old, new))
    # A recipe for one stage is compared with the other's part for that stage, one for any stage with every part.
    single = next((side for side in (before, after) if len(side) == 1 and _ANY not in side), None)
    for where in single or [stage for stage in dict.fromkeys((*before, *after)) if stage != _ANY]:
        was, now = (side.get(where) or side.get(_ANY) for side in (before, after))
        if was and now:
            yield from ((where, change) for change in _changes(was, now))
        elif recipe := was or now:
            yield where, f"{'-' if was else '+'} {recipe.name} has this stage, the other has not"


def _stage(recipe: Recipe) -> str:
    return recipe.stage.value if recipe.stage else _ANY


def _known(options: argparse.Namespace) -> tuple[Recipe, ...]:
    """All there are; those that need a key or a part of one's own to run can be read without."""
    return Engine().extended(load_recipes(options.recipes)).recipes()


def _named(name: str, options: argparse.Namespace) -> list[Recipe]:
    """The recipes of a name, for every stage or the one asked for; a bare stage's name is its own recipe."""
    known = _known(options)
    found = [recipe for recipe in known if recipe.name == name]
    if not found:
        raise unknown_name("recipe", name, sorted({recipe.name for recipe in known}))
    return [recipe for recipe in found if options.stage is None or _stage(recipe) in (options.stage, _ANY)]


def _changes(old: Recipe, new: Recipe) -> Iterator[str]:
    before = {rule.name: rule for rule in old.rules}
    after = {rule.name: rule for rule in new.rules}
    for name in dict.fromkeys((*before, *after)):
        if name not in after:
            yield f"- {name}"
        elif name not in before:
            yield f"+ {name}: {', '.join(_facts(after[name]))}"
        elif before[name] != after[name]:
            was, now = _facts(before[name]), _facts(after[name])
            gone, come = ([fact for fact in was if fact not in now], [fact for fact in now if fact not in was])
            yield f"~ {name}: {', '.join(gone) or 'default'} -> {', '.join(come) or 'default'}"


def _facts(rule: Rule) -> list[str]:
    """What a rule says beyond the defaults; allow-lists by their length, for they may hold personal data."""
    facts = [rule.action, *(f"{kind} = {action}" for kind, action in rule.actions.items())]
    if rule.threshold != _PLAIN.threshold:
        values = set(rule.threshold.values())
        one = str(values.pop()) if len(values) == 1 else None
        facts.append(f"threshold {one or {origin.value: value for origin, value in rule.threshold.items()}}")
    if rule.trusted:
        facts.append(f"trusts {', '.join(sorted(origin.value for origin in rule.trusted))}")
    facts += [f"{name} {value}" for name, value in rule.settings.items()]
    facts += [f"allows {len(rule.allow)} values"] if rule.allow else []
    facts += [f"on error {rule.on_error}"] if rule.on_error != _PLAIN.on_error else []
    facts += [] if rule.enabled else ["off"]
    facts += [_left_out(rule)] if rule.missing else []
    return facts
