"""Which detector a command asks: as it is, with another model, or with the settings that a rule gives it."""

from __future__ import annotations

import argparse
from pathlib import Path

from guardrails_plugin.engine import Engine
from guardrails_plugin.errors import ConfigError
from guardrails_plugin.planning import Planner
from guardrails_plugin.recipes.loader import load_rule
from guardrails_plugin.recipes.recipe import Rule

__all__ = ["add_detector_options", "chosen_engine", "chosen_rule"]

_WITH_MODEL = "prompt_injection"


def add_detector_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options that say it."""
    parser.add_argument("--detector", default=_WITH_MODEL, help="which one (default: %(default)s)")
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--model", type=Path, help="folder of an injection model other than the embedded one")
    group.add_argument(
        "--rule", type=Path, help="TOML file with the detector's rule, whose settings and thresholds count"
    )


def chosen_rule(options: argparse.Namespace) -> Rule:
    """The rule that is meant; without a file, one that blocks."""
    if options.rule:
        return load_rule(options.rule, options.detector)
    if options.model and options.detector != _WITH_MODEL:
        raise ConfigError(f"--model: detector {options.detector!r} has no model; valid: {_WITH_MODEL}")
    settings = {"model": str(options.model)} if options.model else {}
    return Rule(detector=options.detector, action="block", settings=settings)


def chosen_engine(options: argparse.Namespace, rule: Rule) -> Engine:
    """An engine whose detector of that name has the rule's settings."""
    if not rule.settings:
        return Engine()
    where = f"{options.rule.name}: rule" if options.rule else "--model"
    return Engine(detectors={rule.detector: Planner().detector(rule.detector, rule.settings, where)})
