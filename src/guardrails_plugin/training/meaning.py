"""Fits the branch for meaning of a finished model, by which topics and scanners by examples compare texts.

    python -m guardrails_plugin.training.meaning --data FOLDER --own data/injection --out FOLDER

Its embeddings learn to be those of the whole multilingual-e5-small (`teacher`) and to be as alike to one another as
those are (Tung and Mori, "Similarity-preserving knowledge distillation", 2019). Everything else of the model stays as
it is: its logits do not change. Prints the mean cosine to the teacher on a tenth of the texts, which is held back.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import normalize
from tqdm import tqdm

from guardrails_plugin.models.encoder import EMBEDDED
from guardrails_plugin.training import data, export, shipped, teacher, windows
from guardrails_plugin.training.config import TOXICITY
from guardrails_plugin.training.model import Meaning, WindowClassifier, collate, warm_start

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor

    from guardrails_plugin.training.backbone import Backbone

LONGEST = 300
"""Characters of a text: those of one window."""

EACH_FAMILY, OWN, SENTENCES = 900, 6000, 5000
"""Texts of each public family, hand-written ones, and single sentences of these."""

JUDGED = frozenset({"clinc"})
"""Families by which topics and scanners are measured: never learnt from."""

RIDGE = 300.0
EPOCHS, BATCH, RATE, DECAY = 12, 256, 1e-3, 1e-2
ALIKE = 3.0
"""What the likenesses of a batch weigh beside the cosine to the teacher. These five are judgement, not searched for."""

HELD_EVERY = 10


@dataclass(frozen=True, slots=True)
class Pairs:
    """What the branch sees of each text ``[texts, 3 * hidden]``, and the unit rows it is to say ``[texts, hidden]``."""

    seen: Tensor
    wanted: Tensor

    @property
    def held(self) -> Tensor:
        """Which are held back."""
        return torch.arange(len(self.seen)) % HELD_EVERY == 0


def drawn(folder: Path, own: Path, seed: int) -> list[str]:
    """Short texts of many kinds and languages."""
    chance = random.Random(seed)
    families: dict[str, list[str]] = defaultdict(list)
    for path in ("benign_train.jsonl.gz", TOXICITY):
        for row in data.read(folder / path, benign=True):
            if data.family(row.source) not in JUDGED:
                families[data.family(row.source)].append(row.text)
    public = [text for _, rows in sorted(families.items()) for text in _some(rows, EACH_FAMILY, chance)]
    written = [row.text for row in data.read_all(data.files(own))]
    sentences = [part for text in written for part in re.split(r"(?<=[.!?])\s+", text) if 25 < len(part) < 140]
    texts = [_part(text, chance) for text in (*public, *_some(written, OWN, chance))]
    texts += _some(sentences, SENTENCES, chance)
    kept = list(dict.fromkeys(text for text in texts if len(text) > 8))
    chance.shuffle(kept)
    return kept


def _some(rows: Sequence[str], most: int, chance: random.Random) -> list[str]:
    return chance.sample(list(rows), min(most, len(rows)))


def _part(text: str, chance: random.Random) -> str:
    """The beginning of a text, or a part of a long one from anywhere."""
    start = chance.randrange(len(text) - LONGEST) if len(text) > LONGEST and chance.random() < 0.5 else 0
    return text[start : start + LONGEST].strip()


def pairs(model: WindowClassifier, base: Backbone, texts: Sequence[str]) -> Pairs:
    """Both sides for the texts, the model's seen through its own normalisation without scale."""
    branch = model.embed
    rows = windows.encode(base.tokenizer, texts, ["user"] * len(texts), windows.Cut(most=1))
    seen = torch.zeros(len(texts), branch.plain.in_features)
    with torch.inference_mode():
        for batch in tqdm(list(windows.batches(rows, tokens=8192)), desc="student", unit="batch", mininterval=5.0):
            ids, mask, _ = collate(batch, base.pad_id)
            states = model.encoder(
                input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids), output_hidden_states=True
            ).hidden_states
            means = branch.means(states, mask.unsqueeze(-1).float())
            shape = branch.LayerNorm.normalized_shape
            seen[[row.index for row in batch]] = torch.nn.functional.layer_norm(means, shape)
    said = teacher.embeddings(dict(enumerate(texts)))
    wanted = torch.from_numpy(np.stack([said[number] for number in range(len(texts))]).astype(np.float32))
    return Pairs(seen, normalize(wanted - wanted.mean(0), dim=1))


def fit(branch: Meaning, given: Pairs, *, epochs: int = EPOCHS) -> float:
    """Fits the branch: ridge regression for its linear part, then both; returns the held-back cosine."""
    torch.manual_seed(0)
    train = torch.where(~given.held)[0]
    mean, spread = given.seen[train].mean(0), given.seen[train].std(0) + 1e-6
    seen = (given.seen - mean) / spread
    with torch.no_grad():
        branch.LayerNorm.weight.copy_(1 / spread)
        branch.LayerNorm.bias.copy_(-mean / spread)
        branch.plain.weight.copy_(_ridge(seen[train], given.wanted[train]).T)
        branch.plain.bias.zero_()
    inner = [parameter for name, parameter in branch.named_parameters() if not name.startswith("LayerNorm")]
    optimiser = torch.optim.AdamW(inner, lr=RATE, weight_decay=DECAY)
    steps = epochs * max(1, len(train) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps + 1)
    for _ in tqdm(range(steps), desc="meaning", unit="batch", mininterval=5.0):
        chosen = train[torch.randint(len(train), (BATCH,))]
        said, wanted = normalize(branch.said(seen[chosen]), dim=1), given.wanted[chosen]
        loss = 1 - (said * wanted).sum(1).mean() + ALIKE * ((said @ said.T - wanted @ wanted.T) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.inference_mode():
        said = normalize(branch.said(seen[given.held]), dim=1)
        return float((said * given.wanted[given.held]).sum(1).mean())


def _ridge(seen: Tensor, wanted: Tensor) -> Tensor:
    return torch.linalg.solve(seen.T @ seen + RIDGE * torch.eye(seen.shape[1]), seen.T @ wanted)


def main(arguments: Sequence[str] | None = None) -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description="Fit the branch for meaning of a finished model.")
    parser.add_argument("--data", type=Path, required=True, help="folder with benign_train and toxicity_train")
    parser.add_argument("--own", type=Path, required=True, help="folder with .jsonl files of hand-written texts")
    parser.add_argument("--model", type=Path, default=EMBEDDED, help="folder of the model; the embedded one")
    parser.add_argument("--out", type=Path, required=True, help="folder for the model with the new branch")
    parser.add_argument("--model-version", help="version that the artifact tells; that of the model")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args(arguments)

    base, weights, settings = shipped.take_up(options.model)
    model = WindowClassifier(base.encoder)
    warm_start(model, weights)
    model.eval()
    texts = drawn(options.data, options.own, options.seed)
    cosine = fit(model.embed, pairs(model, base, texts))
    print(f"{len(texts)} texts; mean cosine to the teacher on every tenth, held back: {cosine:.3f}")
    options.out.mkdir(parents=True, exist_ok=True)
    for path in _others(options.model):
        if path.resolve() != (options.out / path.name).resolve():
            shutil.copy(path, options.out / path.name)
    settings["version"] = options.model_version or settings["version"]
    (options.out / "config.json").write_text(json.dumps(settings, indent=2) + "\n")
    export.to_onnx(model, options.out / "model.onnx")


def _others(folder: Path) -> Iterable[Path]:
    """The files that stay what they are; the first tier is of the package, not of a model."""
    other = {"model.onnx", "model.onnx.data", "config.json", "first_tier.npz"}
    return (path for path in folder.iterdir() if path.is_file() and path.name not in other)


if __name__ == "__main__":
    main()
