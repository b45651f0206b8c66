"""Checks a second, and how long the slowest of a hundred takes: the service next to a bare FastAPI route.

    python -m tests.load.throughput [--workers 1 2] [--recipe rules response] [--rounds 5] [--seconds 5]

Both servers run at the same time and take turns under load, so that a busy machine slows both; what counts is the
ratio of each pair, and the median of them. Processor time for one request is shown beside, which another program on
the machine changes little. The goal is 0.80 of the bare route's requests a second. `wrk` makes the load
(Debian: ``apt-get install wrk``).
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import median
from typing import Any

from tests.load.servers import HERE, Server, bare, service

GOAL = 0.80
_CONNECTIONS = 16
_WARM_RUNS = 20
_WARM_SECONDS = 3
_HEAD = f"{'req/s':>9}{'p99 ms':>10}{'CPU ms':>10}  "


@dataclass(frozen=True)
class Run:
    """What one run of wrk saw.

    Attributes:
        rate: requests a second.
        p99: seconds within which 99 of 100 were answered.
        cpu: seconds of the server's processor time for one request.
    """

    rate: float
    p99: float
    cpu: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print.

    Returns:
        0; 1 when some ratio misses the goal; 2 when there is no wrk.
    """
    options = _parser().parse_args(arguments)
    wrk = shutil.which("wrk")
    if wrk is None:
        print("wrk is missing, so nothing was measured (Debian: apt-get install wrk)", file=sys.stderr)
        return 2
    print(f"{'':<18}{'bare route':^31}{'service':^31}{'requests a second, service / bare':^36}{'CPU':>6}")
    print(f"{'workers':>7} {'recipe':<10}{_HEAD}{_HEAD}{'median (all pairs)':^36}{'ratio':>6}")
    good = True
    for workers in options.workers:
        with bare(workers) as plain, service(workers) as ours:
            for recipe in options.recipe:
                ratio = _compare(wrk, (plain, ours), recipe, options, workers)
                good = good and ratio >= GOAL
    return 0 if good else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Checks a second of the service, as a part of a bare route's.")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--recipe", nargs="+", default=["rules", "response"])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    return parser


def _compare(wrk: str, servers: tuple[Server, Server], recipe: str, options: argparse.Namespace, label: int) -> float:
    plain, ours = servers
    for server in servers:
        _warm(wrk, server, recipe)
    pairs = []
    for turn in range(options.rounds):
        order = (plain, ours) if turn % 2 == 0 else (ours, plain)
        runs = {server.url: _run(wrk, server, recipe, options.seconds) for server in order}
        pairs.append((runs[plain.url], runs[ours.url]))
    ratios = sorted(mine.rate / theirs.rate for theirs, mine in pairs)
    theirs, mine = (_middle(side) for side in zip(*pairs, strict=True))
    print(f"{label:>7} {recipe:<10}{_cells(theirs)}{_cells(mine)}", end="")
    spread = f"{median(ratios):.2f} ({', '.join(f'{ratio:.2f}' for ratio in ratios)})"
    print(f"{spread:^36}{theirs.cpu / mine.cpu:>6.2f}", flush=True)
    return median(ratios)


def _middle(runs: Sequence[Run]) -> Run:
    return Run(*(median(getattr(run, field.name) for run in runs) for field in fields(Run)))


def _cells(run: Run) -> str:
    return f"{run.rate:>9.0f}{run.p99 * 1000:>10.1f}{run.cpu * 1000:>10.2f}  "


def _warm(wrk: str, server: Server, recipe: str) -> None:
    """Load that does not count: a recipe's first request waits until it is compiled."""
    for _ in range(_WARM_RUNS):
        if _load(wrk, server, recipe, _WARM_SECONDS)["requests"] > _CONNECTIONS:
            return
    raise SystemExit(f"{server.url}: hardly a request was answered in {_WARM_RUNS * _WARM_SECONDS} s")


def _run(wrk: str, server: Server, recipe: str, seconds: int) -> Run:
    before = server.cpu()
    seen = _load(wrk, server, recipe, seconds)
    if not seen["requests"]:
        raise SystemExit(f"{server.url}: no request was answered in {seconds} s")
    return Run(seen["requests"] / seen["seconds"], seen["p99"], (server.cpu() - before) / seen["requests"])


def _load(wrk: str, server: Server, recipe: str, seconds: int) -> Any:
    load = ["--threads", "1", "--connections", str(_CONNECTIONS), "--duration", f"{seconds}s", "--timeout", "60s"]
    script = ["--script", str(HERE / "check.lua"), server.url, "--", server.path, server.token, recipe]
    done = subprocess.run([wrk, *load, *script], capture_output=True, text=True, check=True)
    seen = json.loads(done.stdout.strip().splitlines()[-1])
    if seen["refused"] or seen["broken"]:
        raise SystemExit(f"{server.url}: {seen['refused']} answers of another status, {seen['broken']} broken")
    return seen


if __name__ == "__main__":
    raise SystemExit(main())
