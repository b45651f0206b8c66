"""Remote classifiers against real HTTP servers on the loopback, which answer as the three protocols say."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from guardrails_plugin import ConfigError, Engine, Origin, Recipe, Rule
from guardrails_plugin.errors import DetectorError
from guardrails_plugin.models.classifier import Document
from guardrails_plugin.models.remote import RemoteClassifier
from guardrails_plugin.models.settings import RemoteSettings

Answer = tuple[int, Any, dict[str, str]]


def risk(text: str) -> float:
    """The fake model: it knows one phrase."""
    return 0.98 if "obey me" in text else 0.02


class Server:
    """Records what it is asked; ``script`` are statuses that it answers first."""

    def __init__(self, answer: Callable[[str, Any], Any]) -> None:
        self.asked: list[tuple[str, Any, str | None]] = []
        self.script: list[Answer] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                outer.asked.append((self.path, body, self.headers.get("authorization")))
                status, payload, headers = outer.script.pop(0) if outer.script else (200, answer(self.path, body), {})
                data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
                self.send_response(status)
                for name, value in {**headers, "content-length": str(len(data))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def tei(_: str, body: Any) -> Any:
    texts = [own[0] for own in body["inputs"]]
    return [[{"label": "ATTACK", "score": risk(t)}, {"label": "SAFE", "score": 1 - risk(t)}] for t in texts]


def vllm(_: str, body: Any) -> Any:
    rows = [
        {"index": n, "label": "ATTACK" if risk(t) > 0.5 else "SAFE", "probs": [1 - risk(t), risk(t)], "num_classes": 2}
        for n, t in enumerate(body["input"])
    ]
    return {"id": "classify-1", "object": "list", "model": body["model"], "data": rows[::-1], "usage": {}}


def kserve(_: str, body: Any) -> Any:
    (tensor,) = body["inputs"]
    assert tensor["datatype"] == "BYTES"
    data = [share for text in tensor["data"] for share in (1 - risk(text), risk(text))]
    output = {"name": "probabilities", "shape": [len(tensor["data"]), 2], "datatype": "FP32", "data": data}
    return {"model_name": "guard", "outputs": [{"name": "other", "shape": [1], "data": [0]}, output]}


ANSWERS = {"tei": tei, "vllm": vllm, "kserve": kserve}
PATHS = {"tei": "/predict", "vllm": "/classify", "kserve": "/v2/models/guard/versions/3/infer"}


@pytest.fixture(params=sorted(ANSWERS))
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def server(protocol: str) -> Iterator[Server]:
    made = Server(ANSWERS[protocol])
    yield made
    made.close()


def settings(server: Server, protocol: str, **more: Any) -> RemoteSettings:
    named = {} if protocol == "tei" else {"model": "guard", "labels": ("SAFE", "ATTACK")}
    version = {"version": "3"} if protocol == "kserve" else {}
    options = {"remote": server.url, "protocol": protocol, "attack": ["ATTACK"], **named, **version, **more}
    return RemoteSettings.model_validate(options)


def documents(*texts: str) -> list[Document]:
    return [Document(text, Origin.USER) for text in texts]


def test_reads_texts_and_says_where_the_worst_window_is(server: Server, protocol: str) -> None:
    model = RemoteClassifier(settings(server, protocol, window_chars=64, stride_chars=32, batch=3))
    text = "a quiet day. " * 20 + "Now obey me. " + "a quiet day. " * 20
    calm, worst, empty = model.read(documents("good morning", text, ""))
    assert calm.probability == pytest.approx(0.02)
    assert worst.probability == pytest.approx(0.98)
    assert "obey me" in text[worst.start : worst.end]
    assert worst.end - worst.start <= 64
    assert empty.probability == 0.0
    assert {path for path, _, _ in server.asked} == {PATHS[protocol]}
    assert len(server.asked) > 3, "batches of three windows"


def test_a_recipe_takes_it_in_place_of_the_embedded_model(server: Server, protocol: str) -> None:
    chosen = settings(server, protocol, thresholds={"balanced": 0.9}).model_dump(mode="json", exclude_none=True)
    rule = Rule.model_validate(
        {"detector": "prompt_injection", "action": "block", "threshold": "balanced", "settings": {"model": chosen}}
    )
    engine = Engine(recipes=Recipe(name="own", rules=[rule]))
    assert engine.check("please obey me", stage="prompt", recipe="own").blocked
    passed = engine.check("good morning, all of you", stage="prompt", recipe="own")
    assert not passed.blocked
    server.script = [(400, {"error": "bad"}, {})]
    failed = engine.check("good evening, all of you", stage="prompt", recipe="own")
    assert failed.blocked
    assert failed.failures[0].failure == "DetectorError"


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(server: Server, protocol: str, status: int) -> None:
    server.script = [(status, {}, {"retry-after": "0.01"}), (status, {}, {})]
    (reading,) = RemoteClassifier(settings(server, protocol)).read(documents("obey me"))
    assert reading.probability == pytest.approx(0.98)
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [400, 401, 404, 413, 422, 424])
def test_what_will_not_pass_is_not(server: Server, protocol: str, status: int) -> None:
    server.script = [(status, {"error": "no"}, {})] * 9
    with pytest.raises(DetectorError, match=f"HTTP {status}"):
        RemoteClassifier(settings(server, protocol)).read(documents("obey me"))
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    "payload",
    [b"not json", [], {}, {"data": []}, {"outputs": []}, [[{"label": "ATTACK"}]], [[{"label": "OTHER", "score": 1.0}]]],
)
def test_an_answer_of_another_form_is_an_error_without_text(server: Server, protocol: str, payload: Any) -> None:
    server.script = [(200, payload, {})]
    with pytest.raises(DetectorError) as caught:
        RemoteClassifier(settings(server, protocol)).read(documents("obey me"))
    assert "obey" not in str(caught.value)


def test_a_server_that_keeps_failing_is_left_alone_for_a_while(server: Server, protocol: str) -> None:
    model = RemoteClassifier(settings(server, protocol, retries=0, breaker_failures=2, breaker_seconds=0.3))
    server.script = [(503, {}, {})] * 2
    for _ in range(2):
        with pytest.raises(DetectorError, match="HTTP 503"):
            model.read(documents("obey me"))
    with pytest.raises(DetectorError, match="left alone"):
        model.read(documents("obey me"))
    assert len(server.asked) == 2
    threading.Event().wait(0.35)
    assert model.read(documents("obey me"))[0].probability == pytest.approx(0.98)


@pytest.mark.parametrize(
    "refusal",
    [
        (400, {}, {}),
        (413, {}, {}),
        (422, {}, {}),
        (200, b"not json", {}),
        (200, [[{"label": "OTHER", "score": 1}]], {}),
    ],
)
def test_texts_that_a_server_refuses_do_not_stop_the_others(refusal: Answer) -> None:
    server = Server(tei)
    model = RemoteClassifier(settings(server, "tei", retries=0, breaker_failures=2, breaker_seconds=60))
    server.script = [refusal] * 5
    for _ in range(5):
        with pytest.raises(DetectorError, match=r"HTTP 4|another form|no label"):
            model.read(documents("a text of two megabytes"))
    assert model.read(documents("obey me"))[0].probability == pytest.approx(0.98)
    server.close()


def test_failures_count_in_a_row_and_an_answer_of_any_kind_ends_the_row() -> None:
    server = Server(tei)
    model = RemoteClassifier(settings(server, "tei", retries=0, breaker_failures=2, breaker_seconds=60))
    for status in (503, 422, 503):
        server.script = [(status, {}, {})]
        with pytest.raises(DetectorError, match=f"HTTP {status}"):
            model.read(documents("hello"))
    server.script = [(500, {}, {})]
    with pytest.raises(DetectorError, match="HTTP 500"):
        model.read(documents("hello"))
    with pytest.raises(DetectorError, match="left alone"):
        model.read(documents("hello"))
    server.close()


def test_servers_that_cannot_be_reached_are_left_alone_too() -> None:
    dead = {"remote": "http://127.0.0.1:9", "protocol": "tei", "attack": ["A"], "retries": 0, "breaker_failures": 2}
    model = RemoteClassifier(RemoteSettings.model_validate(dead))
    for failure in ("Connect", "Connect", "left alone"):
        with pytest.raises(DetectorError, match=failure):
            model.read(documents("hello"))


def test_a_dead_server_and_a_slow_one_are_errors() -> None:
    dead = RemoteSettings.model_validate(
        {"remote": "http://127.0.0.1:9", "protocol": "tei", "attack": ["A"], "retries": 1, "timeout": 0.5}
    )
    with pytest.raises(DetectorError, match="Connect"):
        RemoteClassifier(dead).read(documents("hello"))

    def slow(_: str, body: Any) -> Any:
        threading.Event().wait(1.0)
        return tei(_, body)

    server = Server(slow)
    with pytest.raises(DetectorError, match="Timeout"):
        RemoteClassifier(settings(server, "tei", retries=0, timeout=0.1)).read(documents("hello"))
    server.close()


def test_the_token_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(tei)
    with pytest.raises(ConfigError, match="GUARD_TOKEN"):
        RemoteClassifier(settings(server, "tei", token_env="GUARD_TOKEN"))
    monkeypatch.setenv("GUARD_TOKEN", "s3cret")
    RemoteClassifier(settings(server, "tei", token_env="GUARD_TOKEN")).read(documents("hello"))
    assert server.asked[0][2] == "Bearer s3cret"
    server.close()


def test_labels_in_another_order_than_the_servers_are_an_error() -> None:
    server = Server(vllm)
    with pytest.raises(DetectorError, match="another form"):
        RemoteClassifier(settings(server, "vllm", labels=("ATTACK", "SAFE"))).read(documents("obey me"))
    server.close()


def test_lone_surrogates_can_be_asked_about() -> None:
    server = Server(tei)
    (reading,) = RemoteClassifier(settings(server, "tei")).read(documents("\ud800 obey me"))
    assert reading.probability == pytest.approx(0.98)
    server.close()
