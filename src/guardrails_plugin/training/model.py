"""The network: an encoder, one vector a window, one or more linear heads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from transformers import PreTrainedModel

    from guardrails_plugin.training.windows import Row


class WindowClassifier(nn.Module):
    """Logits ``[windows, heads]`` from the mean of the token states joined with the state of the first token."""

    def __init__(self, encoder: PreTrainedModel, *, heads: int = 1, dropout: float = 0.1) -> None:
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * int(encoder.config.hidden_size), heads)
        nn.init.normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Logits of every window."""
        states = self.encoder(
            input_ids=input_ids, attention_mask=attention_mask, token_type_ids=torch.zeros_like(input_ids)
        ).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return cast("Tensor", self.head(self.dropout(torch.cat([mean, states[:, 0]], dim=1))))


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
    """The highest window logit of every row."""
    lowest = torch.full((rows,), -1e4, dtype=window_logits.dtype)
    return lowest.scatter_reduce(0, owner, window_logits, reduce="amax", include_self=True)


def freeze_embeddings(model: WindowClassifier) -> None:
    """Keeps the word vectors as they are.

    They are most of the parameters; leaving them saves a third of a step's time, and words of languages that
    training shows rarely stay where they are next to the words it shows often.
    """
    embeddings: Any = model.encoder.get_input_embeddings()
    embeddings.weight.requires_grad_(requires_grad=False)
