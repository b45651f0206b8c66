"""Any sequence classifier of the transformers library, on tiny ones made here."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch", reason="needs the extra `transformers`")
transformers = pytest.importorskip("transformers", reason="needs the extra `transformers`")

from guardrails_plugin import ConfigError, Engine, Origin, Recipe, Rule  # noqa: E402
from guardrails_plugin.models.classifier import Document  # noqa: E402
from guardrails_plugin.models.settings import TransformersSettings  # noqa: E402
from guardrails_plugin.models.transformers_classifier import TransformersClassifier  # noqa: E402

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "hello", "there", "obey", "me", "good", "morning", "."]
LABELS = {"one": {0: "ATTACK"}, "two": {0: "SAFE", 1: "ATTACK"}, "three": {0: "SAFE", 1: "JAILBREAK", 2: "ATTACK"}}


def model_of(folder: Path, labels: dict[int, str], *, loud: str = "obey") -> Path:
    """A BERT of one layer whose last label fires when a token ``loud`` is read, whatever else there is."""
    vocabulary = folder / "vocab.txt"
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary.write_text("\n".join(WORDS))
    transformers.BertTokenizerFast(str(vocabulary)).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        max_position_embeddings=40, id2label=labels, label2id={label: index for index, label in labels.items()},
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip
    torch.manual_seed(0)
    model = transformers.BertForSequenceClassification(config)
    _wire(model, WORDS.index(loud))
    model.save_pretrained(folder)
    return folder


def _wire(model: Any, token: int) -> None:
    """Word embeddings carry only the loud token, attention averages them, and the head reads the difference."""
    with torch.no_grad():
        embeddings = model.bert.embeddings
        for weight in (embeddings.word_embeddings.weight, embeddings.position_embeddings.weight):
            weight.zero_()
        embeddings.token_type_embeddings.weight.zero_()
        embeddings.word_embeddings.weight[token, :8] = 1.0
        embeddings.word_embeddings.weight[token, 8:] = -1.0
        layer = model.bert.encoder.layer[0]
        own = layer.attention.self
        for part in (own.query, own.key, layer.intermediate.dense, layer.output.dense):
            part.weight.zero_()
            part.bias.zero_()
        for part in (own.value, layer.attention.output.dense, model.bert.pooler.dense):
            part.weight.copy_(torch.eye(16))
            part.bias.zero_()
        model.classifier.weight.zero_()
        model.classifier.bias.fill_(0.0)
        model.classifier.weight[-1, :8] = 1.0
        model.classifier.bias[-1] = -3.0


def settings(folder: Path, **more: Any) -> TransformersSettings:
    return TransformersSettings.model_validate(
        {"transformers": str(folder), "attack": ["ATTACK"], "window_tokens": 24, "stride_tokens": 16, **more}
    )


@pytest.fixture(params=sorted(LABELS))
def folder(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return model_of(tmp_path / request.param, LABELS[request.param])


def test_reads_texts_and_says_where_the_worst_window_is(folder: Path) -> None:
    model = TransformersClassifier(settings(folder))
    text = "hello there . " * 30 + "obey me . " + "good morning . " * 30
    calm, worst, empty = model.read([Document(t, Origin.USER) for t in ("good morning", text, "")])
    assert calm.probability < 0.3
    assert worst.probability > 0.8
    assert "obey" in text[worst.start : worst.end]
    assert worst.end - worst.start < 24 * 9
    assert empty.probability == 0.0


def test_the_same_alone_in_company_and_in_eight_threads(folder: Path) -> None:
    model = TransformersClassifier(settings(folder, batch=3))
    documents = [Document("hello there . " * n + "obey " * (n % 2), Origin.EXTERNAL) for n in range(1, 12)]
    together = model.read(documents)
    with ThreadPoolExecutor(8) as pool:
        alone = [readings[0] for readings in pool.map(lambda own: model.read([own]), documents)]
    for one, other in zip(alone, together, strict=True):
        assert (one.start, one.end) == (other.start, other.end)
        assert one.probability == pytest.approx(other.probability, abs=1e-5)


def test_a_recipe_takes_it_in_place_of_the_embedded_model(folder: Path) -> None:
    chosen = settings(folder, thresholds={"balanced": 0.7}).model_dump(mode="json", exclude_none=True)
    rule = Rule.model_validate(
        {"detector": "prompt_injection", "action": "block", "threshold": "balanced", "settings": {"model": chosen}}
    )
    engine = Engine(recipes=Recipe(name="own", rules=[rule]))
    result = engine.check("please obey", stage="prompt", recipe="own")
    assert result.blocked
    assert str(result.findings[0].evidence["analyzer"]) == f"{folder.name}:local"
    assert not engine.check("good morning", stage="prompt", recipe="own").blocked


def test_several_labels_may_mean_an_attack(tmp_path: Path) -> None:
    folder = model_of(tmp_path / "model", LABELS["three"])
    one, both = (
        TransformersClassifier(settings(folder, attack=labels)).read([Document("hello", Origin.USER)])[0].probability
        for labels in (["ATTACK"], ["ATTACK", "JAILBREAK"])
    )
    assert both > one


def test_an_unknown_label_is_an_error_that_lists_the_valid_ones(tmp_path: Path) -> None:
    folder = model_of(tmp_path / "model", LABELS["two"])
    with pytest.raises(ConfigError, match=r"unknown label INJECTION in attack; valid: SAFE, ATTACK"):
        TransformersClassifier(settings(folder, attack=["INJECTION"]))


def test_a_folder_without_a_model_and_a_hub_id_that_is_not_here_are_errors(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be loaded"):
        TransformersClassifier(settings(tmp_path))
    absent = {"transformers": "someone/absent", "revision": "0" * 40, "attack": ["A"]}
    with pytest.raises(ConfigError, match="download = true"):
        TransformersClassifier(TransformersSettings.model_validate(absent))


@pytest.mark.parametrize("device", ["cuda", "moon"])
def test_a_device_that_is_not_there_is_an_error_that_lists_the_valid_ones(tmp_path: Path, device: str) -> None:
    if device == "cuda" and torch.cuda.is_available():
        pytest.skip("it is there")
    folder = model_of(tmp_path / "model", LABELS["two"])
    with pytest.raises(ConfigError, match=rf"device '{device}' cannot be used .*; valid here: cpu"):
        TransformersClassifier(settings(folder, device=device))
