"""Reversible personal data, offline: the model works with stand-ins of the same format, the reader gets the real ones.

python examples/reversible_pii.py
"""

from __future__ import annotations

import re
import sys

from langchain_core.messages import BaseMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda

from guardrails_plugin import ConfigError, Engine, Keyring
from guardrails_plugin.langchain import guard_model
from guardrails_plugin.testing.langchain import ScriptedChatModel

SSN, CARD = "536-90-4399", "4111 1111 1111 1111"  # invented
LETTER = f"My SSN is {SSN} and my card is {CARD}. Please confirm both."


def confirms(messages: list[BaseMessage]) -> str:
    """Stands in for a real model: repeats the numbers it was sent, in other words."""
    ssn, card = re.findall(r"\d[\d -]+\d", messages[-1].text)
    return f"I have noted card {card}, and {ssn} as the social security number."


def main() -> int:
    """Send a letter through a chain for one tenant, then try to open it as somebody else."""
    engine = Engine(keyring=Keyring.generate())  # keep the real one in a secret store: Keyring.from_env()
    model = ScriptedChatModel(replies=[confirms])
    prompt = ChatPromptTemplate.from_messages([("human", "{letter}")])
    chain = prompt | guard_model(model, engine=engine)

    reply = chain.invoke({"letter": LETTER}, {"metadata": {"tenant": "acme"}})
    seen = model.seen[0][-1].text
    token = reply.response_metadata["guard"]["fpe_context"]
    answer = engine.unredact(reply.text, token, tenant="acme")
    partly = engine.unredact(reply.text, token, tenant="acme", types={"US_SSN"})
    print("model was sent:", seen)
    print("model answered:", reply.text)
    print("reader gets:   ", answer)

    # Or as a step of the chain:
    reader = RunnableLambda(
        lambda message: engine.unredact(message.text, message.response_metadata["guard"]["fpe_context"], tenant="acme")
    )
    whole = (chain | reader).invoke({"letter": LETTER}, {"metadata": {"tenant": "acme"}})

    claims = {
        "the model sees neither number": SSN not in seen and CARD not in seen,
        "but numbers of the same format": bool(re.search(r"SSN is \d{3}-\d{2}-\d{4} and my card is \d{4} \d{4}", seen)),
        "the reader gets both back, in other words too": SSN in answer and CARD in answer,
        "one type alone can be turned back": SSN in partly and CARD not in partly,
        "a chain can do it": SSN in whole and CARD in whole,
        "another tenant cannot": _refused(engine, reply.text, token),
    }
    for claim, holds in claims.items():
        print("  ok  " if holds else "FAILED", claim)
    return int(not all(claims.values()))


def _refused(engine: Engine, text: str, token: str) -> bool:
    try:
        engine.unredact(text, token, tenant="other")
    except ConfigError:
        return True
    return False


if __name__ == "__main__":
    sys.exit(main())
