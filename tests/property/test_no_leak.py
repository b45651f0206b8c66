"""Laws 6 and 7: nothing that leaves holds matched text; importing loads nothing heavy."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import traceback
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails_plugin import Context, Engine, GuardBlocked, Keyring
from guardrails_plugin.audit.jsonl import JsonlSink
from guardrails_plugin.audit.log import LogSink
from tests.strategies import NO_MODEL, VALUES

BLOCKING = {**NO_MODEL, "pii": {"action": "block", "sensitive": "block"}, "secrets": {"action": "block"}}


def leaks(shown: str) -> list[str]:
    return [value for value in VALUES if value in shown]


@given(values=st.lists(st.sampled_from(VALUES), min_size=1, max_size=4))
def test_no_value_is_in_a_repr_an_error_a_record_or_a_log(
    values: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("audit") / "audit.jsonl"
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("guardrails_plugin.audit")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(handler)
    engine = Engine(sinks=[JsonlSink(path), LogSink()], keyring=Keyring.generate())
    text = " , ".join(values)
    context = Context(prompt=text, untrusted=[text], metadata={"user_id": "u1", "note": text})
    try:
        for overrides in (NO_MODEL, BLOCKING):
            result = engine.check(text, stage="response", overrides=overrides, context=context, debug=True)
            shown = [repr(result), repr(context), result.summary, *result.reasons]
            try:
                result.raise_for_block()
            except GuardBlocked as error:
                shown += [str(error), repr(error), "".join(traceback.format_exception(error))]
                shown.append(repr(pickle.loads(pickle.dumps(error)).__dict__))
            assert leaks("".join(shown)) == []
    finally:
        logger.removeHandler(handler)
    assert leaks(path.read_text("utf-8") + "".join(lines)) == []
    records = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    assert [record["stage"] for record in records] == ["response", "response"]
    assert records[0]["metadata"] == {"user_id": "u1"}


def test_the_record_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "audit.jsonl"
    Engine(sinks=[JsonlSink(path, durable=True)]).check("hi", stage="prompt", overrides=NO_MODEL)
    assert path.stat().st_mode & 0o077 == 0


def test_engines_with_keys_are_shared_not_copied_and_never_pickled() -> None:
    engine = Engine(keyring=Keyring.generate())
    assert copy.deepcopy(engine) is engine
    with pytest.raises(Exception, match="pickle"):
        pickle.dumps(engine)
    assert isinstance(pickle.loads(pickle.dumps(Engine())), Engine)
