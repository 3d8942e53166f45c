"""The numbers that the temperature figure shows, and the ones that the library computes from the same similarities."""

import json

import numpy as np
import torch

from contrastlab import hardness

TOLERANCE = 1e-6
NAMES = ("r", "entropy", "effective", "interval")


def library_numbers(s: list[float], tau: float) -> dict[str, object]:
    """By contrastlab.hardness in float64."""
    return {name: values[0] for name, values in library_numbers_of([s], tau).items()}


def library_numbers_of(rows: list[list[float]], tau: float) -> dict[str, list]:
    """The same of many anchors at one temperature, whose similarities are the rows."""
    s_neg = torch.tensor(rows, dtype=torch.float64)
    functions = (
        hardness.relative_penalty,
        hardness.penalty_entropy,
        hardness.effective_negatives,
        hardness.penalty_interval,
    )
    return {name: function(s_neg, tau).tolist() for name, function in zip(NAMES, functions, strict=True)}


def shown_numbers(root) -> dict[str, object]:
    """What a figure in the browser says of itself on its root element, in full precision."""
    return {name: json.loads(root.get_attribute(f"data-{name}")) for name in NAMES}


def assert_same_numbers(found: dict[str, object], expected: dict[str, object]) -> None:
    for name in NAMES:
        np.testing.assert_allclose(found[name], expected[name], rtol=0, atol=TOLERANCE, err_msg=name)
