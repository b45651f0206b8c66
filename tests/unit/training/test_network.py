"""The network, its loop and its export, on a tiny random encoder; needs the extra `train`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")

if TYPE_CHECKING:
    from pathlib import Path

    from guardrails_plugin.training.config import LoopConfig
    from guardrails_plugin.training.loop import TrainingSet
    from guardrails_plugin.training.model import WindowClassifier

LOUD = 7


def tiny() -> WindowClassifier:
    from guardrails_plugin.training.model import WindowClassifier

    torch.manual_seed(0)
    config = transformers.BertConfig(
        vocab_size=40,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
        attn_implementation="eager",
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    return WindowClassifier(transformers.BertModel(config, add_pooling_layer=False), dropout=0.0)


def texts(count: int = 120) -> TrainingSet:
    """Rows of one to three windows; a row is an attack if the loud token stands in any window."""
    from guardrails_plugin.training.heads import LABELS
    from guardrails_plugin.training.loop import TrainingSet
    from guardrails_plugin.training.windows import Row

    rng = np.random.default_rng(1)
    rows, labels = [], np.full((count, len(LABELS)), np.nan, np.float32)
    for index in range(count):
        windows = [rng.integers(10, 40, 12).tolist() for _ in range(index % 3 + 1)]
        label = index % 2
        if label:
            windows[int(rng.integers(len(windows)))][int(rng.integers(12))] = LOUD
        rows.append(Row(index, tuple(tuple(window) for window in windows)))
        labels[index, 0] = label
        if index % 3:
            labels[index, 1] = 1 - label
    return TrainingSet(rows, labels, 0)


def config(**changes: Any) -> LoopConfig:
    from guardrails_plugin.training.config import LoopConfig

    return LoopConfig(**({"epochs": 12, "batch_tokens": 512, "learning_rate": 3e-3, "smoothing": 0.0} | changes))


def test_a_token_in_one_window_is_learnt_from_row_labels() -> None:
    from guardrails_plugin.training import evaluate, loop

    model, data = tiny(), texts()
    loop.fit(model, data, config())
    scores = loop.predict(model, data.rows, pad_id=0, bf16=False)
    area = evaluate.auc(scores.tolist(), data.labels[:, 0].astype(int).tolist())
    assert area is not None
    assert area > 0.95


def test_frozen_embeddings_do_not_move() -> None:
    from guardrails_plugin.training import loop
    from guardrails_plugin.training.model import freeze_embeddings

    model = tiny()
    freeze_embeddings(model)
    words: Any = model.encoder.get_input_embeddings()
    before = words.weight.clone()
    loop.fit(model, texts(30), config(epochs=1))
    assert torch.equal(before, words.weight)


def test_a_stopped_run_goes_on_from_its_checkpoint(tmp_path: Path) -> None:
    from guardrails_plugin.training import loop

    path = tmp_path / "state.pt"
    stopped = tiny()
    loop.fit(stopped, texts(30), config(epochs=1), checkpoint=path)
    first = torch.load(path, weights_only=True)
    resumed = tiny()
    loop.fit(resumed, texts(30), config(epochs=1), checkpoint=path)
    assert torch.equal(resumed.head.weight, stopped.head.weight)
    loop.fit(resumed, texts(30), config(epochs=2), checkpoint=path)
    last = torch.load(path, weights_only=True)
    assert last["step"] == 2 * first["step"]


def test_the_clock_ends_a_run() -> None:
    from guardrails_plugin.training import loop

    model = tiny()
    before = model.head.weight.clone()
    loop.fit(model, texts(30), config(minutes=0.0))
    assert torch.equal(before, model.head.weight)


def test_the_int8_graph_scores_like_the_network(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime.quantization")
    from guardrails_plugin.training import export, loop

    model, data = tiny(), texts(20)
    export.to_onnx(model, tmp_path / "model.onnx")
    runner = export.session(tmp_path / "model.onnx")
    assert [entry.name for entry in runner.get_inputs()] == ["input_ids", "attention_mask"]
    before = loop.predict(model, data.rows, pad_id=0, bf16=False)
    loss = export.quantisation_loss(before, export.row_scores(runner, data.rows))
    assert loss.rows == 20
    assert loss.largest < 0.1
    assert loss.small


@pytest.mark.parametrize(("noise", "small"), [(0.05, True), (0.15, True), (0.3, False), (float("nan"), False)])
def test_rounding_that_moves_logits_by_a_fifth_of_their_spread_is_said(noise: float, small: bool) -> None:
    from guardrails_plugin.training import export

    rng = np.random.default_rng(3)
    before, moved = rng.standard_normal(4000), rng.standard_normal(4000)
    loss = export.quantisation_loss(before.astype(np.float32), (before + noise * moved).astype(np.float32))
    assert loss.small is small
    assert "should be 0.98 or more" in loss.warning


def test_the_padding_of_a_batch_changes_no_score() -> None:
    from guardrails_plugin.training import loop
    from guardrails_plugin.training.windows import Row

    short, long = Row(0, ((2, 11, 12),)), Row(1, ((2,) + (13,) * 20,))
    model = tiny()
    together = loop.predict(model, [short, long], pad_id=0, bf16=False)
    alone = loop.predict(model, [short], pad_id=0, bf16=False)
    assert together[0] == pytest.approx(alone[0], abs=1e-5)


def test_a_label_learns_from_the_rows_that_know_it_and_others_stay() -> None:
    from guardrails_plugin.training import evaluate, loop
    from guardrails_plugin.training.model import collate, row_logits

    model, data = tiny(), texts()
    idle = model.head.bias[2].item()
    loop.fit(model, data, config(weight_decay=0.0, other_heads=1.0))
    model.eval()
    ids, mask, owner = collate(data.rows, 0)
    scores = row_logits(model(ids, mask)[0], owner, len(data.rows))[:, 1].tolist()
    known = [row.index for row in data.rows if not np.isnan(data.labels[row.index, 1])]
    area = evaluate.auc([scores[n] for n in known], [int(data.labels[n, 1]) for n in known])
    assert area is not None
    assert area > 0.9
    assert model.head.bias[2].item() == idle


def test_the_embedding_learns_its_teacher() -> None:
    from guardrails_plugin.training import loop

    data = texts(60)
    rng = np.random.default_rng(2)
    wanted = {row.index: rng.standard_normal(32).astype(np.float16) for row in data.rows if len(row.windows) == 1}
    taught = loop.TrainingSet(data.rows, data.labels, 0, wanted)
    before, after = tiny(), tiny()
    loop.fit(after, taught, config(epochs=8))
    assert closeness(after, taught) > closeness(before, taught) + 0.1


def closeness(model: WindowClassifier, data: TrainingSet) -> float:
    from guardrails_plugin.training.model import collate

    rows = [row for row in data.rows if row.index in data.vectors]
    with torch.inference_mode():
        ids, mask, _owner = collate(rows, 0)
        vectors = model.eval()(ids, mask)[1]
    target = torch.from_numpy(np.stack([data.vectors[row.index] for row in rows]).astype(np.float32))
    return float(torch.nn.functional.cosine_similarity(vectors, target).mean())


def test_a_run_starts_from_an_earlier_one_with_fewer_labels() -> None:
    from guardrails_plugin.training.model import WindowClassifier, warm_start

    earlier = WindowClassifier(tiny().encoder, labels=1)
    torch.nn.init.ones_(earlier.head.weight)
    later = tiny()
    fresh = later.head.weight[1:].clone()
    state = {name: value for name, value in earlier.state_dict().items() if not name.startswith("embed.")}
    warm_start(later, state)
    assert torch.equal(later.head.weight[0], earlier.head.weight[0])
    assert torch.equal(later.head.weight[1:], fresh)
    with pytest.raises(ValueError, match="another encoder"):
        warm_start(later, state | {"encoder.elsewhere": torch.zeros(1)})


def test_a_blend_is_the_mean_of_weights() -> None:
    from guardrails_plugin.training.model import blend

    model = tiny()
    before = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    after = {name: value.clone() for name, value in model.state_dict().items()}
    blend(model, before, 0.25)
    for name, value in model.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, 0.75 * after[name]), name


@pytest.mark.parametrize("share", [-0.1, 1.0, float("nan")])
def test_a_blend_of_no_share_is_refused(share: float) -> None:
    from guardrails_plugin.errors import ConfigError
    from guardrails_plugin.training.model import blend

    with pytest.raises(ConfigError, match="share of the earlier weights"):
        blend(tiny(), {}, share)
