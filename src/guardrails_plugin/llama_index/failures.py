"""Exceptions of models and retrievers: they quote prompts, rows and answers, and tell whoever catches them."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Sequence
from typing import Any, TypeVar

from guardrails_plugin.errors import ContentError
from guardrails_plugin.failing import chained
from guardrails_plugin.llama_index.guarding import Guarding
from guardrails_plugin.llama_index.outputs import must_pass
from guardrails_plugin.types import Stage

__all__ = ["Asked", "FailedError", "areading", "guarded_failure", "reading"]

_Made = TypeVar("_Made")

_UNGUARDED = "It failed; what it said was left out: it cannot be guarded."


class FailedError(Exception):
    """A model or retriever failed with an exception that cannot be made anew with a guarded text; this is that text."""


def guarded_failure(guarding: Guarding, error: Exception, stage: Stage) -> Exception:
    """The exception as it may be seen: itself where nothing in it is to be guarded, else one of its type.

    Retries and handlers choose by type, so the type stays. A new one has the guarded arguments and nothing else of the
    old one: no cause, no traceback, no attributes. Our own errors and LlamaIndex's control flow pass.
    """
    if must_pass(error):
        return error
    told = list(_told(error))
    checked = guarding.check(stage, told)
    if checked.result.blocked:
        return _alike(guarding, error, [guarding.refusal], stage) or FailedError(guarding.refusal)
    if checked.value == told:
        return error
    try:
        args = guarding.check(stage, list(error.args))
    except ContentError:
        return FailedError(checked.value[0])
    said = [guarding.refusal] if args.result.blocked else args.value
    return _alike(guarding, error, said, stage) or FailedError(checked.value[0])


class Asked:
    """Something of LlamaIndex whose exceptions are guarded: those of its methods, and of the streams that they give."""

    def __init__(self, inner: Any, guarding: Guarding, stage: Stage = Stage.RESPONSE) -> None:
        self._inner = inner
        self._guarding = guarding
        self._stage = stage

    def __getattr__(self, name: str) -> Any:
        return functools.partial(self._call, getattr(self._inner, name))

    def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return self._given(method(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - raised outside, where the new one does not hold it as context
            failed = guarded_failure(self._guarding, error, self._stage)
        raise failed

    def _given(self, made: Any) -> Any:
        if isinstance(made, Awaitable):
            return self._awaited(made)
        if isinstance(made, Iterator):
            return reading(made, self._guarding, self._stage)
        return areading(made, self._guarding, self._stage) if isinstance(made, AsyncIterator) else made

    async def _awaited(self, made: Awaitable[Any]) -> Any:
        try:
            return self._given(await made)
        except Exception as error:  # noqa: BLE001 - as in `_call`
            failed = await asyncio.to_thread(guarded_failure, self._guarding, error, self._stage)
        raise failed


def reading(chunks: Iterator[_Made], guarding: Guarding, stage: Stage) -> Generator[_Made, None, None]:
    """A stream whose exceptions are guarded."""
    failed: Exception | None = None
    try:
        yield from chunks
    except Exception as error:  # noqa: BLE001 - as in `Asked`
        failed = guarded_failure(guarding, error, stage)
    if failed is not None:
        raise failed


async def areading(chunks: AsyncIterator[_Made], guarding: Guarding, stage: Stage) -> AsyncGenerator[_Made, None]:
    """`reading` for async streams."""
    failed: Exception | None = None
    try:
        async for chunk in chunks:
            yield chunk
    except Exception as error:  # noqa: BLE001 - as in `Asked`
        failed = await asyncio.to_thread(guarded_failure, guarding, error, stage)
    finally:
        if isinstance(chunks, AsyncGenerator):
            await chunks.aclose()
    if failed is not None:
        raise failed


def _alike(guarding: Guarding, error: Exception, args: Sequence[Any], stage: Stage) -> Exception | None:
    """An exception of that type, unless it says more than these arguments or cannot be made of them."""
    try:
        made = type(error)(*args)
        told = list(_told(made))
        return made if guarding.check(stage, told).value == told else None
    except Exception:  # noqa: BLE001 - a constructor of somebody else's, which may want and do anything
        return None


def _told(error: BaseException) -> Iterator[str]:
    """All that a handler or a traceback says of an exception."""
    for current in chained(error):
        yield str(current)
        yield repr(current)
        yield from (str(note) for note in getattr(current, "__notes__", ()))
