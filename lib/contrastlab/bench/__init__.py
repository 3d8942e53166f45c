"""The benchmark: this book's code beside what readers use otherwise, measured on the reader's own machine.

Variants of one thing take turns in one process, each timed by the CPU seconds that it spends, and medians are compared:
so another program on the machine, which slows all of them, changes little.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from ..files import write_atomically
from ..manifest import Manifest

PARTS = ("loss", "memory", "views", "step", "metrics", "sweep", "notebooks")
WITH_PEERS = ("loss", "memory", "views", "step")
PEERS = ("lightly", "pytorch_metric_learning", "kornia")


def run(book: Manifest, parts: Sequence[str], quick: bool, folder: Path) -> Path:
    """Measure the parts, print their table and write it as bench.md, and as bench.json, into the folder.

    A second table sets what is required beside what was measured, and says of each target whether it is met.
    quick: small sizes and few rounds. The files are rewritten after each part, so that an interruption loses one part.
    Returns the path of the table.
    """
    import torch

    from . import book as of_the_book
    from . import loss, machine, memory, metrics, step, table, targets, views

    measures = {
        "loss": loss.measure,
        "memory": memory.measure,
        "views": views.measure,
        "step": step.measure,
        "metrics": metrics.measure,
        "sweep": lambda quick: of_the_book.sweep(book, quick),
        "notebooks": lambda quick: of_the_book.notebooks(book, folder),
    }
    described, rows, verdicts = machine.describe(), [], []
    print(table.heading(described), flush=True)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for part in parts:
            new = measures[part](quick)
            judged = targets.judge(new, [part], described["bfloat16 matrix units"])
            rows, verdicts = rows + new, verdicts + judged
            print(f"{table.of(new)}\n\n{table.of_targets(judged)}".rstrip() + "\n", flush=True)
            content = {"machine": described, "quick": quick}
            content |= {"rows": [asdict(row) for row in rows], "targets": [asdict(verdict) for verdict in verdicts]}
            write_atomically(folder / "bench.json", (json.dumps(content, indent=1) + "\n").encode())
            write_atomically(folder / "bench.md", table.document(described, rows, verdicts).encode())
    finally:
        torch.set_num_threads(before)
    return folder / "bench.md"
