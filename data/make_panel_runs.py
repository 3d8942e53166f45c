"""Make panel-runs.json, the runs that the training panel of chapter 6 shows on a page without a kernel.

    python data/make_panel_runs.py [--out FILE]

The panel's own training, as it starts with, at three temperatures with two seeds, on one thread.
"""

import argparse
import json
from pathlib import Path

import torch

from contrastlab.files import write_atomically
from contrastlab.widgets.training_picture import RECORDED
from contrastlab.widgets.training_run import Choice, watch

HERE = Path(__file__).resolve().parent
TAUS, SEEDS = (0.05, 0.2, 1.0), (0, 1)


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / RECORDED)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    choices = [Choice(tau=tau, seed=seed) for seed in SEEDS for tau in TAUS]
    runs = [watch(choice, report=lambda _: None, after_step=lambda: False) for choice in choices]
    write_atomically(given.out, (json.dumps(runs, indent=1, allow_nan=False) + "\n").encode())
    print(f"{given.out}: {len(runs)} runs")


if __name__ == "__main__":
    main()
