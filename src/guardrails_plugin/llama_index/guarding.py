"""What the wrappers of this package share: an engine, the policy of each stage, and what follows a block."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import KW_ONLY, dataclass, field, replace
from types import NoneType
from typing import Any, Literal

from guardrails_plugin.by_stage import Overrides, Recipes, by_stage
from guardrails_plugin.conversation import segments, substitute
from guardrails_plugin.crypto.marks import Marks
from guardrails_plugin.engine import DEFAULT_ORIGINS, Engine, default_engine
from guardrails_plugin.errors import ConfigError, unknown_name
from guardrails_plugin.llama_index.arguments import require
from guardrails_plugin.llama_index.nodes import guard_nodes
from guardrails_plugin.llama_index.provenance import said_here
from guardrails_plugin.llama_index.tags import tagged
from guardrails_plugin.llama_index.values import walker
from guardrails_plugin.llama_index.vault import Vault
from guardrails_plugin.stream import StreamGuard
from guardrails_plugin.types import NO_CONTEXT, Context, GuardResult, Origin, Segment, Stage

__all__ = ["REFUSAL", "Checked", "Guarding", "HeldStream", "OnBlock", "Overrides", "Recipes", "guarding"]

REFUSAL = "This was blocked by policy."

OnBlock = Literal["raise", "refuse"]


@dataclass(frozen=True, slots=True)
class Checked:
    """A value after its check: None when it was blocked."""

    value: Any = field(repr=False)
    result: GuardResult


@dataclass(frozen=True, slots=True)
class Guarding:
    """How a wrapper guards; immutable, shared by all calls."""

    engine: Engine = field(repr=False)
    _: KW_ONLY
    recipes: Recipes = field(default_factory=dict)
    overrides: Overrides = field(default_factory=dict)
    context: Context = NO_CONTEXT
    vault: Vault | None = None
    completions: Origin = Origin.USER
    refuses: bool = False
    refusal: str = REFUSAL
    """What is said in place of what was refused; tools without words of their own say which it was, and why."""

    def __deepcopy__(self, memo: dict[int, Any]) -> Guarding:
        return self

    def within(self, **known: Any) -> Guarding:
        """The same policy with more said in its context."""
        return replace(self, context=replace(self.context, **known))

    def here(self) -> Guarding:
        """The same policy with what is known of the conversation that this code runs for."""
        said = said_here()
        return self if said is None else replace(self, context=said.context(self.context))

    def judge(self, stage: Stage) -> tuple[Any, ...]:
        """What decides at a stage; equal for policies that decide alike."""
        return self.engine, *self._policy(stage).values(), self.context, self.vault

    def check(self, stage: Stage, value: Any, *, origin: Origin | None = None) -> Checked:
        """A guarded copy of a value of any kind this package knows."""
        return self.each(stage, [value], origin=origin)[0]

    def require_types(self, names: Iterable[str], where: str) -> None:
        """Nothing, when these are entity types that some stage of this policy can find.

        Raises:
            ConfigError: another one; the message lists the valid ones.
        """
        *others, last = Stage
        for stage in others:
            self.engine.require_types((), stage=stage, **self._policy(stage))
        self.engine.require_types(names, stage=last, **self._policy(last), where=where)

    def each(self, stage: Stage, values: Sequence[Any], *, origin: Origin | None = None) -> list[Checked]:
        """Guarded copies of several values, in order; one pass of the engine for all, and a result for each."""
        found = [self.segments(stage, value, origin) for value in values]
        marks = [Marks(()) if self.vault is None else self.vault.marks() for _ in values]
        hidden = [_with_texts(one, own.hide) for one, own in zip(found, marks, strict=True)]
        results = self._results(stage, hidden)
        if stage is Stage.PRE_TOOL and hidden != found:
            results = [self._by_source(*pair) for pair in zip(results, self._results(stage, found), strict=True)]
        return [self._checked(stage, *three) for three in zip(values, results, marks, strict=True)]

    def _results(self, stage: Stage, contents: Sequence[list[Segment]]) -> list[GuardResult]:
        return self.engine.check_batch(contents, stage=stage, context=tagged(self.context), **self._policy(stage))

    @staticmethod
    def _by_source(result: GuardResult, shown: GuardResult) -> GuardResult:
        """The result of a call; that of the encrypted values in it as they are where these came from outside."""
        tainted = shown.blocked and any(reason.startswith("provenance") for reason in shown.reasons)
        return shown if tainted else result

    def _checked(self, stage: Stage, value: Any, result: GuardResult, marks: Marks) -> Checked:
        if result.blocked:
            return Checked(None, result)
        self.keep(result)
        texts = marks.show(result.output)
        return Checked(substitute(value, texts, walker(tool_calls=stage is not Stage.RESPONSE)), result)

    def keep(self, result: GuardResult) -> None:
        """Put what turns a result's encrypted values back into the vault, if there is one."""
        if self.vault is not None:
            self.vault.add(result)

    def segments(self, stage: Stage, value: Any, origin: Origin | None = None) -> list[Segment]:
        """Every string of a value.

        Raises:
            ContentError: it holds something that cannot be guarded.
        """
        foreign = walker(tool_calls=stage is not Stage.RESPONSE)
        return segments(value, origin or DEFAULT_ORIGINS[stage], foreign)

    async def acheck(self, stage: Stage, value: Any, *, origin: Origin | None = None) -> Checked:
        """`check` on a worker thread."""
        return await asyncio.to_thread(self.check, stage, value, origin=origin)

    def stream(self, stage: Stage = Stage.RESPONSE) -> StreamGuard | HeldStream:
        """The hold-back window for one stream; all of it is held back where encrypted values may be in it."""
        if self.vault is not None and not self.vault.is_empty:
            return HeldStream(self, stage)
        return self.engine.stream(stage=stage, context=tagged(self.context), **self._policy(stage))

    def nodes(self, nodes: Sequence[Any]) -> list[Any]:
        """Guarded copies of scored nodes, in order; None for those that were blocked."""
        policy = self._policy(Stage.POST_TOOL)
        guarded = guard_nodes(
            [scored.node for scored in nodes], self.engine, Stage.POST_TOOL, context=self.context, mark=False, **policy
        )
        return [
            None if node is None else scored.model_copy(update={"node": node})
            for scored, (node, _) in zip(nodes, guarded, strict=True)
        ]

    def _policy(self, stage: Stage) -> dict[str, Any]:
        return {"recipe": self.recipes.get(stage.value), "overrides": self.overrides.get(stage.value)}


class HeldStream:
    """A stream that is guarded whole, since its text has to be known before encrypted values are found in it."""

    def __init__(self, policy: Guarding, stage: Stage) -> None:
        self._policy = policy
        self._stage = stage
        self._text = ""
        self._result: GuardResult | None = None

    @property
    def blocked(self) -> bool:
        """Whether it was refused."""
        return self._result is not None and self._result.blocked

    @property
    def result(self) -> GuardResult:
        """Of the whole.

        Raises:
            RuntimeError: it is not finished.
        """
        if self._result is None:
            raise RuntimeError("the result is known after finish()")
        return self._result

    def feed(self, text: str) -> str:
        """Nothing yet."""
        self._text += text
        return ""

    def finish(self) -> str:
        """The guarded text; nothing when it is blocked."""
        checked = self._policy.check(self._stage, self._text)
        self._result = checked.result
        return "" if checked.result.blocked else str(checked.value)


def _with_texts(found: list[Segment], change: Callable[[Iterable[str]], list[str]]) -> list[Segment]:
    changed = change(segment.text for segment in found)
    return [replace(segment, text=text) for segment, text in zip(found, changed, strict=True)]


def guarding(
    engine: Engine | None = None,
    *,
    recipes: Recipes | None = None,
    overrides: Overrides | None = None,
    context: Context | None = None,
    vault: Vault | None = None,
    completions: Origin | str = Origin.USER,
    on_block: OnBlock = "raise",
    refusal: str = REFUSAL,
) -> Guarding:
    """A `Guarding` from what users give.

    Raises:
        ConfigError: an unknown stage, recipe, override, origin or ``on_block``; a vault of another tenant than the
            context's; something of the wrong kind.
    """
    require("engine", engine, (Engine, NoneType), "an Engine")
    require("context", context, (Context, NoneType), "a Context")
    require("vault", vault, (Vault, NoneType), "a Vault")
    if on_block not in {"raise", "refuse"}:
        raise unknown_name("on_block", on_block, ["raise", "refuse"])
    if completions not in list(Origin):
        raise unknown_name("completions", completions, [origin.value for origin in Origin])
    tenant = context.tenant if context is not None else ""
    if vault is not None and vault.tenant != tenant:
        raise ConfigError(
            f"vault: is of tenant {vault.tenant!r}, the context of {tenant!r}: Vault(keyring, tenant=...)"
        )
    own = engine or default_engine()
    named, changed = by_stage(own, recipes, overrides)
    return Guarding(
        own,
        recipes=named,
        overrides=changed,
        context=context or NO_CONTEXT,
        vault=vault,
        completions=Origin(completions),
        refuses=on_block == "refuse",
        refusal=refusal,
    )
