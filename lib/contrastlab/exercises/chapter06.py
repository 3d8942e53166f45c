"""Checks of the exercises of chapter 6, "Training an encoder"."""

import math
from collections.abc import Mapping
from typing import Any

from .checking import NOT_YET, RIGHT, check_number

BATCHES, FULL, REST = 39, 128, 8  # 5,000 images: 39 batches of 128 and one of 8
MOMENTUM = 0.5
LOGS = {"flips": "A", "nearest": "B", "rate": "C"}


def check_last_batch(answer: float | None) -> None:
    """Check the mean loss of an epoch of blind guesses whose last batch holds 8 images."""
    check_number(
        answer,
        correct=_mean_loss(),
        misconceptions=LAST_BATCH_MISCONCEPTIONS,
        right="A small batch asks an easier question. It also gives batch norm few images to take its mean from.",
        tolerance=0.0005,
    )


def check_logs(answer: Mapping[str, Any] | None) -> None:
    """Check which log, "A", "B" or "C", belongs to each of the three faults."""
    if not isinstance(answer, Mapping) or set(answer) != set(LOGS) or Ellipsis in answer.values():
        print(f'{NOT_YET} Replace ... by "A", "B" or "C" for each of {", ".join(LOGS)}, and run the cell again.')
        return
    letters = {fault: str(letter).strip().upper() for fault, letter in answer.items()}
    if letters == LOGS:
        print(f"{RIGHT} Two similarities beside the loss tell a collapse from an easy task and from standing still.")
        return
    for message, mistaken in LOGS_MISCONCEPTIONS.items():
        if letters == mistaken:
            print(f"{NOT_YET} {message}")
            return
    print(f"{NOT_YET} Use A, B and C once each, and ask of every log: did the loss move, are the similarities near 1?")


def check_age(answer: float | None) -> None:
    """Check the mean age, in epochs, of what a bank's entry holds when its image comes by again."""
    check_number(
        answer,
        correct=1 / (1 - MOMENTUM),
        misconceptions=AGE_MISCONCEPTIONS,
        right="In a run of eight epochs that is a quarter of the run: the bank's positive is stale.",
    )


def _mean_loss(candidates: int = -1, batches: int = BATCHES) -> float:
    """Mean over all batches of log(2N + candidates), the full ones and the last."""
    full, rest = math.log(2 * FULL + candidates), math.log(2 * REST + candidates)
    return (batches * full + rest) / (batches + 1)


LAST_BATCH_MISCONCEPTIONS = {
    "This is the loss of a full batch. The last one has fewer candidates and pulls the mean down.": math.log(255),
    "This is the loss of the last batch alone. It is one of 40.": math.log(15),
    "You weighed the batches by their images. The log shows the mean over batches.": (
        (BATCHES * FULL * math.log(255) + REST * math.log(15)) / (BATCHES * FULL + REST)
    ),
    "An anchor sees both views of every image: 2N - 1 candidates, not N.": (
        (BATCHES * math.log(FULL) + math.log(REST)) / (BATCHES + 1)
    ),
    "An anchor sees both views of every other image: 2N - 2 negatives and its positive, not N - 1 negatives.": (
        (BATCHES * math.log(FULL - 1) + math.log(REST - 1)) / (BATCHES + 1)
    ),
    "You took a logarithm to base 2. Losses are in nats, with the natural logarithm.": _mean_loss() / math.log(2),
    "You took the two kinds of batch alike. There are 39 of the one and 1 of the other.": _mean_loss(batches=1),
    "You took the logarithm of the mean number of candidates. Take the mean of the logarithms.": math.log(
        (BATCHES * 255 + 15) / 40
    ),
}

_SWAPS = {
    "B and C are exchanged. In C loss and similarities stay where they were; in B both similarities rise to 1.": "ACB",
    "A and C are exchanged. In A the loss falls at once and s_neg with it, which no tiny learning rate can do.": "CBA",
    "A and B are exchanged. B ends at log 21, a blind guess among 20 negatives and the positive, with all similarities "
    "near 1. A knows every view again: its two views are nearly the same picture.": "BAC",
}
LOGS_MISCONCEPTIONS = {message: dict(zip(LOGS, letters, strict=True)) for message, letters in _SWAPS.items()}

AGE_MISCONCEPTIONS = {
    "That is the age of the newest half alone, or you counted it as fresh. The other half is older.": 1.0,
    "That is the share of the newest part, 1 epoch old. Add the older parts, each with its share and its age.": 0.5,
    "You stopped after three parts, seven eighths of the entry. Go on.": 0.5 * 1 + 0.25 * 2 + 0.125 * 3,
}
