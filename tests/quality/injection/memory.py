"""Peak and resident memory of fresh processes, in megabytes, and what takes it (Linux: ``/proc/self/status``).

A process is measured with an empty cache of compiled patterns, as at the first use on a machine, and with a full one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence

_MEASURE = """
import json, sys
def kilobytes(name):
    with open("/proc/self/status") as file:
        return int(file.read().partition(name)[2].split()[0])
told = {}
def say(step):
    told[step] = [kilobytes("VmRSS:") // 1024, kilobytes("VmHWM:") // 1024]
say("python")
"""
_TEXT = '"Please summarise the minutes of the garden club. " * 40'

STEPS = f"""
import guardrails_plugin; say("import guardrails_plugin")
from guardrails_plugin import Engine; engine = Engine(); say("Engine()")
import numpy; say("numpy")
import onnxruntime, tokenizers; say("onnxruntime, tokenizers imported")
from guardrails_plugin.models.encoder import EMBEDDED
tokenizer = tokenizers.Tokenizer.from_file(str(EMBEDDED / "tokenizer.json")); say("tokenizer of the model")
del tokenizer
from guardrails_plugin.models.encoder import load_encoder
load_encoder(EMBEDDED); say("the whole model")
engine.check({_TEXT}, stage="prompt"); say("first check: patterns compiled or loaded")
for number in range(200):
    engine.check(f"Letter {{number}}. " + {_TEXT}, stage="prompt")
say("200 more checks")
from guardrails_plugin.types import Stage
for stage in Stage:
    engine.check({_TEXT}, stage=stage)
say("all stages")
"""
DETECTOR = """
from guardrails_plugin import registry, Engine
from guardrails_plugin.matching import Matcher
import hyperscan, re2
patterns = registry.load("detectors", sys.argv[1])().patterns
say("before"); Matcher({"own": patterns}); say("compiled")
told["patterns"] = [len(patterns), 0]
"""
CHECK = f"""
from guardrails_plugin import Engine
Engine().check({_TEXT}, stage=sys.argv[2], recipe=None if sys.argv[1] == sys.argv[2] else sys.argv[1])
say("checked")
"""

RECIPES = (
    ("prompt", "prompt"),
    ("pre_tool", "pre_tool"),
    ("response", "response"),
    ("financial", "prompt"),
    ("healthcare", "response"),
    ("hipaa", "prompt"),
)
"""A recipe and the stage it is used at: built-in ones, packs, a policy."""

DETECTORS = ("prompt_injection", "secrets", "pii", "malicious_url")

Told = Mapping[str, Sequence[int]]


def told(program: str, cache: str, *arguments: str) -> Told:
    """Resident and peak megabytes at each step of a program in a fresh process."""
    done = subprocess.run(
        [sys.executable, "-c", f"{_MEASURE}{program}\nprint(json.dumps(told))", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "GUARDRAILS_CACHE_DIR": cache},
    )
    found: Told = json.loads(done.stdout.splitlines()[-1])
    return found


def first_and_second(program: str, *arguments: str) -> tuple[Told, Told]:
    """The program with an empty cache of patterns, and once more."""
    with tempfile.TemporaryDirectory() as cache:
        return told(program, cache, *arguments), told(program, cache, *arguments)


def lines(scale: float) -> Iterator[str]:
    """The tables; ``scale`` changes nothing here."""
    del scale
    first, second = first_and_second(STEPS)
    yield "resident (peak) after each step: first use, with cached patterns"
    for step in first:
        yield f"  {step:42} {first[step][0]:4} ({first[step][1]:4})   {second[step][0]:4} ({second[step][1]:4})"
    yield "one check in a fresh process, peak: first use, with cached patterns"
    for recipe, stage in RECIPES:
        peaks = [each["checked"][1] for each in first_and_second(CHECK, recipe, stage)]
        yield f"  {recipe:16} at {stage:10} {peaks[0]:4}   {peaks[1]:4}"
    yield "patterns of a detector alone, no model: resident before, and when compiled (peak), with cached patterns"
    for name in DETECTORS:
        cold, warm = first_and_second(DETECTOR, name)
        growth = f"{cold['before'][0]:4} -> {cold['compiled'][0]:4} ({cold['compiled'][1]:4})   {warm['compiled'][0]:4}"
        yield f"  {name:18} {cold['patterns'][0]:5} patterns {growth}"
