"""The network: an encoder, a linear layer for the logits of all heads, a small branch for what texts mean."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training.heads import LABELS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from transformers import PreTrainedModel

    from guardrails_plugin.training.windows import Row


BENDS = 1024
"""Bent units of the branch for meaning: 2 MB in all; twice as many told no more."""


class Meaning(nn.Module):
    """Embeddings ``[windows, hidden]`` from the mean token states of three layers.

    The last layer has learnt to tell attacks and forgotten much of what texts mean; lower ones have not. A linear layer
    and a bent one beside it are fitted by `training.meaning`, while everything else stays as it is.
    """

    def __init__(self, size: int, layers: int) -> None:
        super().__init__()
        self.layers = (max(1, layers // 3), max(1, 2 * layers // 3), layers)
        self.LayerNorm = nn.LayerNorm(3 * size)
        self.plain = nn.Linear(3 * size, size)
        self.bend = nn.Linear(3 * size, BENDS)
        self.bent = nn.Linear(BENDS, size)
        with torch.no_grad():
            self.plain.weight.copy_(torch.eye(size, 3 * size).roll(2 * size, 1))
            for zero in (self.plain.bias, self.bent.weight, self.bent.bias):
                zero.zero_()

    def forward(self, states: Sequence[Tensor], mask: Tensor) -> Tensor:
        """From the states of all layers, the embedded tokens first, and the mask ``[windows, tokens, 1]``."""
        return self.said(self.LayerNorm(self.means(states, mask)))

    def means(self, states: Sequence[Tensor], mask: Tensor) -> Tensor:
        """The mean token states of the three layers, side by side ``[windows, 3 * hidden]``."""
        return torch.cat([(states[layer] * mask).sum(1) / mask.sum(1) for layer in self.layers], dim=1)

    def said(self, seen: Tensor) -> Tensor:
        """The embeddings of normalised means."""
        bent: Tensor = self.plain(seen) + self.bent(nn.functional.gelu(self.bend(seen)))
        return bent


class WindowClassifier(nn.Module):
    """Logits ``[windows, labels]`` and embeddings ``[windows, hidden]``.

    Logits come from the mean of the last token states joined with the state of the first token.
    """

    def __init__(self, encoder: PreTrainedModel, *, labels: int = len(LABELS), dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        size = int(encoder.config.hidden_size)
        self.head = nn.Linear(2 * size, labels)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)
        self.embed = Meaning(size, int(encoder.config.num_hidden_layers))

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and embedding of every window."""
        every = self.encoder(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=torch.zeros_like(input_ids),
            output_hidden_states=True,
        ).hidden_states
        states = every[-1]
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return self.head(self.dropout(torch.cat([mean, states[:, 0]], dim=1))), self.embed(every, mask)


def warm_start(model: WindowClassifier, state: Mapping[str, Tensor]) -> None:
    """Takes over the weights of an earlier run; labels that it did not have begin anew.

    Raises:
        ConfigError: the earlier run had another encoder.
    """
    own = model.state_dict()
    known = {name: value for name, value in state.items() if name in own or not name.startswith(("head.", "embed."))}
    for name in ("head.weight", "head.bias"):
        rows = min(len(own[name]), len(state[name]))
        known[name] = torch.cat([state[name][:rows], own[name][rows:]])
    missing, unexpected = model.load_state_dict(known, strict=False)
    if unexpected or any(not name.startswith("embed.") for name in missing):
        raise ConfigError(f"the earlier run has another encoder: {(*missing, *unexpected)[:3]}")


def blend(model: WindowClassifier, before: Mapping[str, Tensor], share: float) -> None:
    """Makes the weights of `model` a mean with earlier ones, which get this share of it.

    Raises:
        ConfigError: the share is not between 0 and 1.
    """
    if not 0.0 <= share < 1.0:
        raise ConfigError(f"share of the earlier weights is {share}; it must be at least 0 and less than 1")
    now = model.state_dict()
    mixed = {
        name: torch.lerp(value, before[name], share) if value.is_floating_point() else value
        for name, value in now.items()
    }
    model.load_state_dict(mixed)


def mean(states: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of the weights of runs with the same labels."""
    first = states[0]
    return {
        name: torch.stack([state[name] for state in states]).mean(0) if value.is_floating_point() else value
        for name, value in first.items()
    }


def collate(rows: Sequence[Row], pad_id: int) -> tuple[Tensor, Tensor, Tensor]:
    """Ids, mask and the number of the row to which each window belongs."""
    width = max(row.padded for row in rows)
    windows = [window for row in rows for window in row.windows]
    ids = torch.full((len(windows), width), pad_id, dtype=torch.long)
    mask = torch.zeros((len(windows), width), dtype=torch.long)
    for number, window in enumerate(windows):
        ids[number, : len(window)] = torch.tensor(window)
        mask[number, : len(window)] = 1
    owner = torch.tensor([number for number, row in enumerate(rows) for _ in row.windows])
    return ids, mask, owner


def row_logits(window_logits: Tensor, owner: Tensor, rows: int) -> Tensor:
    """The highest window logit of every row, label by label: ``[rows, labels]``."""
    labels = window_logits.shape[1]
    lowest = torch.full((rows, labels), -1e4, dtype=window_logits.dtype)
    places = owner.unsqueeze(1).expand(-1, labels)
    return lowest.scatter_reduce(0, places, window_logits, reduce="amax", include_self=True)


def freeze_embeddings(model: WindowClassifier) -> None:
    """Keeps the word vectors as they are.

    They are most of the parameters; leaving them saves a third of a step's time, and words of languages that
    training shows rarely stay where they are next to the words it shows often.
    """
    embeddings: Any = model.encoder.get_input_embeddings()
    embeddings.weight.requires_grad_(requires_grad=False)
