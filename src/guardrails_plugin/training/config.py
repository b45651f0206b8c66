"""What a training run is asked for. Nothing here needs torch, so that it can be checked before torch is loaded."""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from guardrails_plugin.models.encoder import EMBEDDED
from guardrails_plugin.training import mixture, windows

if TYPE_CHECKING:
    from collections.abc import Iterator

E5_LAYERS = (0, 1, 2, 3, 4, 5)

TOXICITY = "toxicity_train.jsonl.gz"

REQUIRED = ("injection_train.jsonl.gz", "benign_train.jsonl.gz", "dev.jsonl.gz")
"""Files without which a folder is no corpus."""

OTHER_TASKS = (TOXICITY, "legal_train.jsonl.gz", "code_languages_train.jsonl.gz")
"""Optional files labelled for other tasks: for injection every row of them is benign."""

STATE, REPORT = "state.pt", "run.json"
"""What a run keeps in its work folder: its weights and where it is, and what it did, once it is finished."""


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """Numbers of one run; learning rates and smoothing are the usual ones for small encoders.

    Injection is the main task: each other head has a quarter of its weight in the loss, the embedding half.
    """

    epochs: int = 1
    batch_tokens: int = 3072
    learning_rate: float = 1e-4
    head_rate: float = 1e-3
    weight_decay: float = 0.01
    warmup: float = 0.06
    smoothing: float = 0.02
    clip: float = 1.0
    seed: int = 17
    minutes: float | None = None
    checkpoint_minutes: float = 10.0
    other_heads: float = 0.25
    embedding: float = 0.5


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """One training run.

    Args:
        data: folder with ``injection_train``, ``benign_train`` and ``dev`` (``.jsonl.gz``), others optional. None
            trains on `own` alone, which suits a finished model.
        out: folder for the artifact.
        own: folder with hand-written ``.jsonl`` files, of which every fifth pair is held back.
        blind: folder with ``.jsonl`` files that are measured by and nothing else.
        base: ``embedded`` (the model in the wheel is trained further), ``e5``, ``minilm``, or the path of a finished
            artifact or of a Hugging Face encoder.
        work: folder for checkpoints; a run that stopped goes on from there.
        layers: layers kept of ``e5``.
        mine_with: artifact of an earlier run; benign rows that it flags are added to the mixture.
        mined_rows: most rows added so.
        own_heads: folders with hand-written ``.jsonl`` files for the further heads.
        start: ``state.pt`` of an earlier run, from whose weights this one starts.
        taught: most texts whose embedding is learnt (``e5`` only).
        new: pattern of names of files in `own` and `own_heads`; their rows are what this run is about; of the
            others a drawn part is rehearsed (`MixtureConfig.rehearsed`). Empty: all rows alike.
        keep: share that the weights of the start have in the result. Their mean with the tuned ones is more even on
            what was not trained on (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
        runs: ``state.pt`` of finished runs from the same start; their mean takes the place of a training (Wortsman et
            al. 2022, "Model soups").
        deeper: begin with two layers more than the artifact at `base` has (`growth`).
    """

    data: Path | None
    out: Path
    work: Path
    own: Path | None = None
    blind: Path | None = None
    base: str = "e5"
    version: str = "1"
    layers: tuple[int, ...] = E5_LAYERS
    cut: windows.Cut = field(default_factory=windows.Cut)
    mixture: mixture.MixtureConfig = field(default_factory=mixture.MixtureConfig)
    loop: LoopConfig = field(default_factory=LoopConfig)
    threads: int = 2
    mine_with: Path | None = None
    mined_rows: int = 2000
    own_heads: tuple[Path, ...] = ()
    start: Path | None = None
    taught: int = 30_000
    new: str = ""
    keep: float = 0.0
    runs: tuple[Path, ...] = ()
    deeper: bool = False

    @property
    def finished(self) -> Path | None:
        """The folder of the finished model that is trained further; None of a Hugging Face encoder."""
        folder = EMBEDDED if self.base == "embedded" else Path(self.base)
        return folder if is_artifact(folder) else None


def is_artifact(folder: Path) -> bool:
    """Whether the folder holds a finished model rather than a Hugging Face encoder."""
    return (folder / "model.onnx").exists()


def command(config: TrainConfig) -> str:
    """The command line of a run, with paths reduced to their last name: for its card.

    >>> command(TrainConfig(None, Path("/x/out"), Path("/x/out/work"), own=Path("/x/my rows"), base="embedded"))
    "guardrails-plugin train --own 'my rows' --out out --base embedded --rate 0.0001 --seed 17 --model-version 1"
    """
    return shlex.join(["guardrails-plugin", "train", *_arguments(config)])


def _arguments(config: TrainConfig) -> Iterator[str]:
    values: dict[str, Any] = {
        "data": config.data,
        "own": config.own,
        "heads": config.own_heads,
        "out": config.out,
        "base": Path(config.base).name,
        "blind": config.blind,
        "mine-with": config.mine_with,
        "new": config.new,
        "rehearse": config.mixture.rehearsed if config.new else None,
        "keep": config.keep,
        "runs": [f"{path.parent.parent.name}/{path.parent.name}" for path in config.runs],
        "minutes": config.loop.minutes,
        "rate": None if config.runs else config.loop.learning_rate,
        "seed": config.loop.seed,
        "model-version": config.version,
    }
    for flag, value in values.items():
        every = value if isinstance(value, (tuple, list)) else [] if value in (None, "") else [value]
        if every and (flag, value) != ("keep", 0.0):
            yield f"--{flag}"
            yield from (each.name if isinstance(each, Path) else str(each) for each in every)
    if config.deeper:
        yield "--deeper"
