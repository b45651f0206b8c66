"""A whole run on a handful of rows: from files to an artifact that scores; needs the extra `train`."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("onnx")

from tokenizers import Tokenizer, models, pre_tokenizers, processors  # noqa: E402

from guardrails_plugin.errors import ConfigError  # noqa: E402
from guardrails_plugin.models.encoder import Document, Encoder  # noqa: E402
from guardrails_plugin.types import Origin  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

WORDS = "the boat leaves at noon tickets are sold on board ask staff for help with bags".split()


def rows(count: int, seed: int, **fixed: Any) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    made = []
    for number in range(count):
        label = number % 2
        words = rng.choices(WORDS, k=rng.randrange(6, 60))
        if label:
            words[3:3] = ["ignore", "rules"]
        kind = ("indirect/plain", "direct/override") if label else ("benign_document", "benign_chat")
        made.append({"text": " ".join(words) + ".", "label": label, "category": kind[number % 4 // 2]} | fixed)
    return made


def write(path: Path, content: list[dict[str, Any]]) -> None:
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, content)).encode()))


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    folder = tmp_path / "encoder"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "user", "external", "ignore", "rules", ".", *WORDS]
    vocabulary = {word: number for number, word in enumerate(dict.fromkeys(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=160,
    )
    transformers.BertModel(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture
def given(tmp_path: Path) -> tuple[Path, Path]:
    """A corpus and hand-written rows."""
    from guardrails_plugin.training.heads import TOXICITY

    data, own = tmp_path / "data", tmp_path / "own"
    data.mkdir()
    own.mkdir()
    write(data / "injection_train.jsonl.gz", rows(80, 1))
    write(data / "benign_train.jsonl.gz", [row for row in rows(80, 2) if not row["label"]])
    write(data / "dev.jsonl.gz", rows(60, 3, source="elsewhere"))
    abuse = [
        {"text": f"{row['text']} fool" if n % 2 else row["text"], "label": n % 2} for n, row in enumerate(rows(90, 5))
    ]
    for number, row in enumerate(abuse):
        row |= {"labels": dict.fromkeys(TOXICITY, row["label"]), "split": "dev" if number % 3 else "train"}
    write(data / "toxicity_train.jsonl.gz", abuse)
    hand = [row | {"pair": f"p{number // 2}"} for number, row in enumerate(rows(40, 4))]
    (own / "hand.jsonl").write_text("\n".join(map(json.dumps, hand)))
    return data, own


def test_files_become_an_artifact(
    tmp_path: Path, encoder: Path, given: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from guardrails_plugin.training import meaning, mining, teacher, train
    from guardrails_plugin.training.data import EXTERNAL, Example
    from guardrails_plugin.training.heads import TOXICITY

    data, own = given
    out = train(data, tmp_path / "out", base=str(encoder), own=own, minutes=0.05, epochs=1, threads=1)

    settings = json.loads((out / "config.json").read_text())
    assert settings["origins"] == {"user": "user", "external": "external", "model": "external"}
    assert set(settings["thresholds"]) == {"strict", "balanced", "permissive"}
    assert set(settings["calibration"]["user"]) == {"a", "b"}
    strict, permissive = settings["thresholds"]["strict"]["user"], settings["thresholds"]["permissive"]["user"]
    assert 0 <= strict <= settings["thresholds"]["balanced"]["user"] <= permissive <= 1
    assert settings["heads"]["toxicity"] == list(TOXICITY)
    assert set(settings["labels"]["threat"]["thresholds"]) == {"strict", "balanced", "permissive"}
    page = (out / "MODEL_CARD.md").read_text()
    assert "| hand-written |" in page
    assert "`guardrails-plugin train --data data --own own --out out --base encoder" in page
    read = Encoder(out)
    for origin in Origin:
        (reading,) = read.read([Document("ignore rules . the boat leaves at noon", origin)])
        assert 0 <= reading.probability <= 1
    pool = [Example("the boat leaves", 0, EXTERNAL), Example("ignore rules", 1, EXTERNAL)]
    assert mining.mined(out, pool, count=5) == pool[:1]

    files = {"model.onnx", "model.onnx.data", "tokenizer.json", "config.json", "MODEL_CARD.md", "work"}
    assert {path.name for path in out.iterdir()} == files

    again = train(None, tmp_path / "again", base=str(out), own=own, minutes=0.0, epochs=1, threads=1)

    assert _logits(again) == pytest.approx(_logits(out), abs=0.1)
    for key in ("calibration", "thresholds", "labels"):  # eight rows held back are too few for new ones
        assert json.loads((again / "config.json").read_text())[key] == settings[key]

    monkeypatch.setattr(teacher, "embeddings", _spellings)
    meaning.main([*("--data", str(data), "--own", str(own)), *("--model", str(out), "--out", str(tmp_path / "meant"))])
    meant = tmp_path / "meant"
    assert _logits(meant) == pytest.approx(_logits(out), abs=1e-3), "nothing but the embedding changes"
    texts = [row["text"] for row in rows(20, 6)]
    found, wanted = (_embeddings(folder, texts) for folder in (meant, out))
    told = np.stack(list(_spellings(dict(enumerate(texts))).values()))
    assert _alike(found, told) > _alike(wanted, told)

    late = [row | {"pair": f"late{number}"} for number, row in enumerate(rows(20, 7))]
    (own / "late7_01.jsonl").write_text("\n".join(map(json.dumps, late)))
    tuned = train(data, tmp_path / "tuned", base=str(out), own=own, new="late7_*", keep=0.999, minutes=0.01, epochs=1)
    assert _logits(tuned) == pytest.approx(_logits(out), abs=0.2), "hardly anything but the start's weights"
    mixed = train(data, tmp_path / "mixed", base=str(out), own=own, runs=[tuned / "work", tuned / "work"], keep=0.999)
    assert _logits(mixed) == pytest.approx(_logits(tuned), abs=0.2), "the mean of a run with itself"
    with pytest.raises(ConfigError, match="no run has left"):
        train(data, tmp_path / "mixed", base=str(out), own=own, runs=[tmp_path])
    with pytest.raises(ConfigError, match=r"no file of .* matches 'none_\*'"):
        train(data, tmp_path / "nothing", base=str(out), own=own, new="none_*")


def test_a_run_goes_on_or_is_refused_and_blind_rows_only_measure(
    tmp_path: Path, encoder: Path, given: tuple[Path, Path]
) -> None:
    from guardrails_plugin.training import train

    data, own = given
    asked: dict[str, Any] = {"base": str(encoder), "own": own, "minutes": 0.05, "epochs": 1, "threads": 1}
    out = train(data, tmp_path / "out", **asked)
    state, report = out / "work" / "state.pt", out / "work" / "run.json"
    before = state.read_bytes()

    with pytest.raises(ConfigError, match="holds a finished training"):
        train(data, out, **asked)
    report.unlink()
    steps = torch.load(state, weights_only=True)["step"]
    train(data, out, **asked)  # stopped before it could say that it is finished
    assert torch.load(state, weights_only=True)["step"] == steps
    report.unlink()
    for other in ({"base": "embedded"}, {"seed": 18}, {"minutes": 0.06}):
        with pytest.raises(ConfigError, match="a run of other rows or settings"):
            train(data, out, **(asked | other))
    assert len(state.read_bytes()) == len(before)

    foreign = tmp_path / "foreign"
    foreign.mkdir()
    torch.save({"model": {"head.weight": torch.zeros(2, 2)}, "step": 1}, foreign / "state.pt")
    with pytest.raises(ConfigError, match="runs that began with the same --base"):
        train(data, tmp_path / "mean", **asked, runs=[out / "work", foreign])
    (foreign / "state.pt").write_bytes(b"something else")
    with pytest.raises(ConfigError, match="is not what a training left"):
        train(data, tmp_path / "mean", **asked, runs=[foreign])

    blind = tmp_path / "blind"
    blind.mkdir()
    (blind / "rows.jsonl").write_text("\n".join(map(json.dumps, rows(200, 9, lang="xx"))))
    plain = train(data, tmp_path / "plain", **asked, runs=[out / "work"])
    with_blind = train(data, tmp_path / "with", **asked, runs=[out / "work"], blind=blind)
    said = [json.loads((folder / "config.json").read_text()) for folder in (plain, with_blind)]
    assert said[0] == said[1]
    card = (with_blind / "MODEL_CARD.md").read_text()
    assert "Nothing was trained on, fitted or set by the rows under 'blind'." in card
    assert "### blind" in card
    assert "the mean of those of 1 finished runs" in card


def test_nothing_to_calibrate_by_is_said_before_training(
    tmp_path: Path, encoder: Path, given: tuple[Path, Path]
) -> None:
    from guardrails_plugin.training import train

    data, _own = given
    write(data / "dev.jsonl.gz", rows(60, 3, source="elsewhere", origin="user"))
    with pytest.raises(ConfigError, match=r"nothing to calibrate texts of origin 'external' by: 0 attacks"):
        train(data, tmp_path / "out", base=str(encoder), minutes=0.05, epochs=1, threads=1)
    assert not list((tmp_path / "out" / "work").iterdir())


def _spellings(texts: Mapping[int, str]) -> dict[int, Any]:
    """A teacher that needs no weights: letters counted."""
    counts = {key: np.asarray([1 + text.count(letter) for letter in "abdefhiklnoprstu"]) for key, text in texts.items()}
    return {key: (row / np.linalg.norm(row)).astype(np.float16) for key, row in counts.items()}


def _embeddings(folder: Path, texts: list[str]) -> Any:
    return Encoder(folder).embed([Document(text, Origin.USER) for text in texts])


def _alike(rows: Any, told: Any) -> float:
    """How much the likenesses of rows are those of what they are told: a correlation."""
    centred = [each - each.mean(0) for each in (rows.astype(np.float64), told.astype(np.float64))]
    one, other = ((each @ each.T)[np.triu_indices(len(each), 1)] for each in centred)
    return float(np.corrcoef(one, other)[0, 1])


def _logits(folder: Path) -> list[float]:
    """What the artifact says of some texts."""
    from guardrails_plugin.training import export, windows

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    texts = [row["text"] for row in rows(20, 6)]
    cut = windows.encode(tokenizer, texts, ["user"] * len(texts), windows.Cut())
    return [float(score) for score in export.row_scores(export.session(folder / "model.onnx"), cut)]
