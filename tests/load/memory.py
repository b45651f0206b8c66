"""Memory of a server process over many requests: after the warm-up it no longer grows.

    python -m tests.load.memory [--requests 100000] [--database URL]

Short checks by rules, each text new. Prints the resident size ten times on the way. The size after the warm-up (a fifth
of the requests) may grow by `GROWTH` until the end: allocators round up, and pages of the database are kept.
"""

from __future__ import annotations

import argparse
import http.client
import json
import threading
from collections.abc import Sequence
from itertools import count
from urllib.parse import urlsplit

from tests.load.servers import Server, service

GROWTH = 0.05
_CONNECTIONS = 8
_STEPS = 10


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Returns:
        0; 1 when the process grew.
    """
    parser = argparse.ArgumentParser(description="Resident memory of the service over many requests.")
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--database", default="", help="URL; a temporary SQLite file by default")
    options = parser.parse_args(arguments)
    with service(database_url=options.database) as server:
        sizes = sizes_over(server, options.requests, say=True)
    grown = growth(sizes)
    print(f"after the warm-up: {grown:+.1%} (at most {GROWTH:.0%})")
    return 0 if grown <= GROWTH else 1


def sizes_over(server: Server, requests: int, *, say: bool = False) -> list[int]:
    """Resident bytes after each tenth of the requests."""
    numbers = count()
    sizes = []
    for step in range(1, _STEPS + 1):
        _ask(server, requests // _STEPS, numbers)
        sizes.append(server.memory())
        if say:
            print(f"{requests * step // _STEPS:>9} requests {sizes[-1] / 2**20:>8.1f} MiB", flush=True)
    return sizes


def growth(sizes: Sequence[int]) -> float:
    """How much larger the process became after the first two tenths, as a part."""
    return max(sizes[2:]) / max(sizes[:2]) - 1


def _ask(server: Server, requests: int, numbers: count[int]) -> None:
    wrong: list[int] = []

    def ask(share: int) -> None:
        connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=120)
        headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}
        for _ in range(share):
            content = f"Order {next(numbers)} goes to jane.doe{next(numbers)}@example.com on Friday."
            body = json.dumps({"stage": "response", "recipe": "rules", "content": content})
            connection.request("POST", server.path, body, headers)
            answer = connection.getresponse()
            answer.read()
            if answer.status != 200:
                wrong.append(answer.status)
                return
        connection.close()

    threads = [threading.Thread(target=ask, args=(requests // _CONNECTIONS,)) for _ in range(_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise SystemExit(f"{server.url}: answers of status {sorted(set(wrong))}")


if __name__ == "__main__":
    raise SystemExit(main())
