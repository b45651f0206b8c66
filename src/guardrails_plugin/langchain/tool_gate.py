"""Tool calls on their way to the tool (pre_tool) and results on their way back (post_tool), for every adapter."""

from __future__ import annotations

import copy
import dataclasses
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Literal, TypeAlias, get_args

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolCall,
    ToolMessage,
)
from langchain_core.messages.tool import ToolOutputMixin

from guardrails_plugin.errors import ConfigError, ContentError, GuardBlocked, unknown_name
from guardrails_plugin.langchain.check import StageCheck
from guardrails_plugin.langchain.encrypted import Encrypted, carry, tokens
from guardrails_plugin.tool_refusals import tool_refusal
from guardrails_plugin.types import Context, GuardResult, Origin

__all__ = ["Judged", "ToolGate", "conversation", "names", "provenance"]

_OnBlock: TypeAlias = Literal["raise", "refuse"]


@dataclasses.dataclass(frozen=True, slots=True)
class Judged:
    """A guarded call, and how it was guarded; no result where nothing guards calls."""

    call: ToolCall = dataclasses.field(repr=False)
    result: GuardResult | None = None


class ToolGate:
    """What calls and results pass through.

    Args:
        pre: the calls' check; None for none.
        post: the results'; None for none.
        on_block: ``refuse`` tells the model by an error message in the tool's name, ``raise`` raises.
        trusted: tool names and the entity types whose encrypted values they get as they were.

    Raises:
        ConfigError: another ``on_block``, entity types that are none or that nothing finds, or trust without keys.
    """

    def __init__(
        self,
        pre: StageCheck | None,
        post: StageCheck | None,
        *,
        on_block: _OnBlock = "refuse",
        trusted: Mapping[str, Collection[str]] | None = None,
    ) -> None:
        if on_block not in get_args(_OnBlock):
            raise unknown_name("on_block", on_block, get_args(_OnBlock))
        self._pre = pre
        self._post = post
        self._raises = on_block == "raise"
        self._trusted = {
            name: names(types, f"trusted_tools[{name!r}]", "entity types, such as {'US_SSN'}")
            for name, types in (trusted or {}).items()
        }
        self._require_keys()

    def _require_keys(self) -> None:
        check = self._pre or self._post
        if self._trusted and (check is None or check.engine.keyring is None):
            raise ConfigError(
                "trusted_tools needs the keyring that encrypted, with pre_tool or post_tool: Engine(keyring=...)"
            )
        for name, types in self._trusted.items():
            if check is not None:
                check.require_types(types, f"trusted_tools[{name!r}]")

    @property
    def post(self) -> StageCheck | None:
        """The results' check."""
        return self._post

    @property
    def raises(self) -> bool:
        """Whether blocks raise."""
        return self._raises

    def admit(self, call: ToolCall, messages: Sequence[BaseMessage] = ()) -> ToolCall:
        """The guarded call; encrypted values in it stay encrypted.

        Args:
            call: name and arguments, both judged.
            messages: the conversation so far: what the user asked for, and what came from outside.

        Raises:
            GuardBlocked: it was refused.
        """
        return self.judged(call, messages).call

    def judged(self, call: ToolCall, messages: Sequence[BaseMessage] = ()) -> Judged:
        """`admit`, with the result."""
        if self._pre is None:
            return Judged(call)
        encrypted = Encrypted(self._pre.engine, tokens(messages), self._pre.tenant)
        context = provenance(messages)
        hidden = encrypted.hide(call["args"])
        checked = self._pre({"name": call["name"], "args": hidden}, context, origin=Origin.MODEL)
        if hidden != call["args"]:
            self._check_source(call, context, self._pre)
        return Judged({**call, "args": encrypted.show(checked.value["args"])}, checked.result)

    def _check_source(self, call: ToolCall, context: Context, check: StageCheck) -> None:
        """Whether an encrypted value came from outside: told by the value itself, for which a mark stood before."""
        content = {"name": call["name"], "args": call["args"]}
        (found,) = check.each([content], context, origin=Origin.MODEL)
        if isinstance(found, GuardBlocked) and any(reason.startswith("provenance") for reason in found.reasons):
            raise found from None

    def restored(self, call: ToolCall, messages: Sequence[BaseMessage]) -> ToolCall:
        """The call as its tool gets it: a trusted one gets the values behind the encrypted ones."""
        types = self._trusted.get(call["name"])
        check = self._pre or self._post
        if not types or check is None:
            return call
        encrypted = Encrypted(check.engine, tokens(messages), check.tenant)
        return {**call, "args": encrypted.restore(call["args"], types)}

    def release(self, result: Any, call: ToolCall) -> Any:
        """The guarded result: a ToolMessage, a Command, or a list of them; an error message when it was refused.

        An artifact that cannot be read is left out.

        Raises:
            GuardBlocked: it was refused, and blocks raise.
        """
        if isinstance(result, list):
            return [self.release(item, call) for item in result]
        try:
            return self.guarded(result)
        except GuardBlocked as blocked:
            return self.refuse(call, blocked)
        except ContentError:
            return _error(call, "The tool's result was left out: it cannot be guarded.")

    def refuse(self, call: ToolCall, blocked: GuardBlocked) -> ToolMessage:
        """What the model is told in place of a refused call or result.

        Raises:
            GuardBlocked: blocks raise.
        """
        if self._raises:
            raise blocked from None
        return _error(call, tool_refusal(blocked.stage, blocked.reasons))

    def reject(self, call: ToolCall) -> ToolMessage:
        """What the model is told when a reviewer did not approve."""
        return _error(call, "The tool call was not approved.")

    def guarded(self, result: Any) -> Any:
        """A guarded result of any type.

        Raises:
            GuardBlocked: it was refused.
            ContentError: it cannot be guarded.
        """
        if self._post is None:
            return result
        if _is_command(result):
            return self._command(result, self._post)
        if isinstance(result, list) and any(isinstance(one, ToolOutputMixin) for one in result):
            return [self.guarded(one) for one in result]
        if not isinstance(result, ToolMessage):
            return self._post(result).value
        try:
            checked = self._post(result)
        except ContentError:
            checked = self._post(result.model_copy(update={"artifact": None}))
        return carry(checked.value, checked.result.fpe_context)

    def _command(self, command: Any, check: StageCheck) -> Any:
        """A Command with all that it tells other nodes; where it goes is the application's."""
        several = isinstance(command.goto, (list, tuple))
        goto = [self._sent(one, check) for one in (command.goto if several else [command.goto])]
        return dataclasses.replace(
            command,
            update=self._updated(command.update, check),
            resume=self._updated(command.resume, check),
            goto=type(command.goto)(goto) if several else goto[0],
        )

    def _sent(self, target: Any, check: StageCheck) -> Any:
        """The name of a node, or a Send with what the node is sent."""
        if not hasattr(target, "arg"):
            return target
        sent = copy.copy(target)
        sent.arg = self._updated(target.arg, check)
        return sent

    def _updated(self, update: Any, check: StageCheck) -> Any:
        """A state: its messages one by one, everything else as it is read."""
        if update is None:
            return None
        if not isinstance(update, Mapping):
            return check(update).value
        guarded = dict(update)
        for name, value in update.items():
            several = name == "messages" and isinstance(value, list)
            guarded[name] = [self.guarded(item) for item in value] if several else check(value).value
        return guarded


def names(given: object, where: str, what: str) -> frozenset[str]:
    """A collection of names as a set.

    Raises:
        ConfigError: a single string, whose letters would be taken for names, or something else.
    """
    if isinstance(given, str) or not isinstance(given, Collection) or not all(isinstance(one, str) for one in given):
        raise ConfigError(f"{where}: expected a collection of {what}, got {type(given).__name__}")
    return frozenset(given)


def conversation(state: Any) -> list[BaseMessage]:
    """The messages in the state of a graph or ToolNode: a mapping, an object or the list itself; none without one."""
    found = state.get("messages") if isinstance(state, Mapping) else getattr(state, "messages", state)
    return list(found) if isinstance(found, (list, tuple)) else []


def provenance(messages: Sequence[BaseMessage | AnyMessage]) -> Context:
    """Who said what in a conversation: the user's words are trusted, what tools returned is not.

    Nor is what an application puts into the thread in the user's name: a summary also says what tools returned.
    """
    said = [str(message.text) for message in messages if _is_users(message)]
    return Context(
        prompt=said[-1] if said else "",
        history=said[:-1],
        system="\n".join(str(message.text) for message in messages if isinstance(message, SystemMessage)),
        untrusted=[str(message.text) for message in messages if _is_from_outside(message)],
        calls=[
            {"name": call["name"], "args": call["args"]}
            for message in _turn(messages)[:-1]
            if isinstance(message, AIMessage)
            for call in message.tool_calls
        ],
    )


def _is_users(message: BaseMessage | AnyMessage) -> bool:
    # LangChain's mark of messages that no user typed.
    return isinstance(message, HumanMessage) and "lc_source" not in message.additional_kwargs


def _is_from_outside(message: BaseMessage | AnyMessage) -> bool:
    made = isinstance(message, HumanMessage) and not _is_users(message)
    return made or isinstance(message, (ToolMessage, FunctionMessage))


def _turn(messages: Sequence[BaseMessage | AnyMessage]) -> list[BaseMessage]:
    """What came since the user last spoke; the last message makes the calls that are being judged."""
    spoke = max((place for place, message in enumerate(messages) if _is_users(message)), default=-1)
    return list(messages[spoke + 1 :])


def _error(call: ToolCall, content: str) -> ToolMessage:
    return ToolMessage(content=content, tool_call_id=call["id"] or "", name=call["name"], status="error")


def _is_command(value: Any) -> bool:
    """True for a LangGraph Command. Without langgraph imported there is none; importing it to find out costs 300 ms."""
    types = sys.modules.get("langgraph.types")
    return types is not None and isinstance(value, types.Command)
