"""Training of the classifiers that ship with the package; needs the extra ``train``.

Nothing heavy is imported before `train` is called.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["train"]

_TUNING_RATE = 3e-5
"""Learning rate where a finished model is trained further: a third of a new one's, so that it forgets little."""


def train(
    data: str | Path | None,
    out: str | Path,
    *,
    base: str = "e5",
    own: str | Path | None = None,
    blind: str | Path | None = None,
    work: str | Path | None = None,
    minutes: float | None = None,
    epochs: int = 2,
    seed: int = 17,
    threads: int = 2,
    mine_with: str | Path | None = None,
    heads: Sequence[str | Path] = (),
    new: str = "",
    rehearse: int | None = None,
    keep: float = 0.0,
    runs: Sequence[str | Path] = (),
    rate: float | None = None,
    deeper: bool = False,
    version: str = "1",
) -> Path:
    """Trains a prompt-injection classifier; returns the artifact folder, which is `out`.

    Args:
        data: folder with ``injection_train``, ``benign_train`` and ``dev`` as ``.jsonl.gz``; None trains on `own`
            alone, which suits a finished model.
        out: folder for the artifact.
        base: ``embedded`` (the model in the wheel is trained further), ``e5``, ``minilm``, or the path of a finished
            artifact or of a Hugging Face encoder.
        blind: folder with ``.jsonl`` files that are measured by and nothing else.
        own: folder with further ``.jsonl`` files: hand-written or a user's own examples.
        work: folder for checkpoints, ``out/work`` if not given; the same run, stopped, goes on from there.
        minutes: end of training by the clock; the learning rate falls to zero by then.
        epochs: most passes over the data.
        seed: of the mixture and of the order of rows.
        threads: for torch and for scoring.
        mine_with: artifact of an earlier run, or ``embedded``, by which hard benign rows are found.
        heads: folders with hand-written ``.jsonl`` files for the further heads.
        new: pattern of file names in `own` and `heads` (``plain7_*``): these rows are taught, the others rehearsed.
        rehearse: most of these others, 12,000 if not given.
        keep: share of the start's weights in the result, at least 0 and less than 1.
        runs: work folders of finished runs from the same start, whose mean takes the place of a training.
        rate: learning rate; by default 1e-4, and 3e-5 where a finished model is trained further.
        deeper: put two more layers of e5 into the finished model at `base`, which has six of them.
        version: of the artifact.

    Raises:
        ConfigError: an argument, a file or a row is wrong, or a package is missing.
    """
    from guardrails_plugin.models.encoder import EMBEDDED
    from guardrails_plugin.training.checks import check
    from guardrails_plugin.training.config import STATE, LoopConfig, TrainConfig
    from guardrails_plugin.training.mixture import MixtureConfig

    config = TrainConfig(
        data=Path(data) if data else None,
        out=Path(out),
        work=Path(work) if work else Path(out) / "work",
        own=Path(own) if own else None,
        blind=Path(blind) if blind else None,
        base=base,
        mixture=MixtureConfig(seed=seed) if rehearse is None else MixtureConfig(seed=seed, rehearsed=rehearse),
        loop=LoopConfig(epochs=epochs, minutes=minutes, seed=seed),
        threads=threads,
        mine_with=EMBEDDED if str(mine_with) == "embedded" else Path(mine_with) if mine_with else None,
        own_heads=tuple(map(Path, heads)),
        new=new,
        keep=keep,
        runs=tuple(Path(folder) / STATE for folder in runs),
        deeper=deeper,
        version=version,
    )
    if rate is not None or config.finished:
        config = replace(config, loop=replace(config.loop, learning_rate=_TUNING_RATE if rate is None else rate))
    check(config)
    from guardrails_plugin.training.pipeline import train as run  # torch, which what is wrong is said without

    return run(config)
