"""Prints one of the tables about the embedded injection model.

    python -m tests.quality.injection groups|kinds|disguises|long|calibration|windows|batches|cost|memory [--scale 0.2]
    python -m tests.quality.injection models --models FOLDER FOLDER [--scale 0.2]

Each table says in its module what it is made of. A smaller scale takes fewer texts.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tests.quality import measure_injection
from tests.quality.injection import batches, calibration, cost, disguises, kinds, long_texts, memory, models, windows

TABLES = {
    "kinds": kinds.lines,
    "disguises": disguises.lines,
    "long": long_texts.lines,
    "calibration": calibration.lines,
    "windows": windows.lines,
    "batches": batches.lines,
    "cost": cost.lines,
    "memory": memory.lines,
}


def main() -> int:
    """Prints the table that is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.quality.injection", description=__doc__)
    parser.add_argument("table", choices=("groups", "models", *TABLES))
    parser.add_argument("--models", nargs="*", type=Path, default=(), help="folders of the table `models`")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the texts that are taken")
    options = parser.parse_args()
    if options.table == "groups":
        return measure_injection.main(["--groups"])
    of_models = options.table == "models"
    for text in models.lines(options.scale, options.models) if of_models else TABLES[options.table](options.scale):
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
