"""How an exercise is checked: compare with the right answer, then with the answers that known misconceptions give."""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

NOT_YET = "Not yet."
RIGHT = "Right."


def check_function(
    answer: Callable[..., Any],
    *,
    correct: Callable[..., Tensor],
    cases: Sequence[tuple[Any, ...]],
    misconceptions: Mapping[str, Callable[..., Tensor]],
    right: str,
) -> None:
    """Print whether a learner's function agrees with the correct one on every case, and if not, why not.

    misconceptions: from a message to the function that somebody who holds it would write; the first whose values the
    answer reproduces on every case names the mistake. right: what to say after "Right.".
    """
    values = []
    for case in cases:
        try:
            value = answer(*copy.deepcopy(case))  # what a learner writes in place must not change the question
        except Exception as error:
            print(f"{NOT_YET} Your function raised {type(error).__name__}: {error}")
            return
        expected = correct(*case)
        problem = _shape_problem(value, expected)
        if problem:
            print(f"{NOT_YET} {problem}")
            return
        values.append(value)
    if _agree(values, correct, cases):
        print(f"{RIGHT} {right}")
        return
    for message, mistaken in misconceptions.items():
        if _agree(values, mistaken, cases):
            print(f"{NOT_YET} {message}")
            return
    print(f"{NOT_YET} {_first_difference(values, correct, cases)}")


def check_number(
    answer: float | None, *, correct: float, misconceptions: Mapping[str, float], right: str, tolerance: float = 0.01
) -> None:
    """Print whether a learner's number is right within a relative tolerance, and if not, which mistake gives it.

    A tensor or an array that holds one number is a number too.
    """
    if answer is None or answer is Ellipsis:
        print(f"{NOT_YET} Replace ... by your number and run the cell again.")
        return
    number = _number(answer)
    if number is None or math.isnan(number):
        print(f"{NOT_YET} Give one number; yours is {number or _kind(answer)}.")
        return
    if math.isclose(number, correct, rel_tol=tolerance, abs_tol=1e-9):
        print(f"{RIGHT} {right}")
        return
    for message, mistaken in misconceptions.items():
        if math.isclose(number, mistaken, rel_tol=tolerance, abs_tol=1e-9):
            print(f"{NOT_YET} {message}")
            return
    print(f"{NOT_YET} Your {number:.4g} is {'above' if number > correct else 'below'} the answer.")


def _number(answer: Any) -> float | None:
    """The answer as a float, or None if it is not one number; a number in quotes is text."""
    if isinstance(answer, str | bytes):
        return None
    try:
        return float(answer.item() if hasattr(answer, "item") else answer)
    except (TypeError, ValueError, RuntimeError):  # the last is PyTorch's for several elements
        return None


def _kind(answer: Any) -> str:
    """What a learner gave in place of a number, as the end of a sentence."""
    shape = getattr(answer, "shape", ())
    return f"of type {type(answer).__name__}" + (f" and shape {tuple(shape)}" if shape else "")


def _shape_problem(value: Any, expected: Tensor) -> str:
    if value is None or value is Ellipsis:
        return "Your function returns nothing so far. Replace ... by your code and run the cell again."
    if not isinstance(value, Tensor):
        return f"Return a tensor of shape {tuple(expected.shape)}; yours is a {type(value).__name__}."
    if value.shape != expected.shape:
        return f"Your result has shape {tuple(value.shape)}, expected is {tuple(expected.shape)}: one value an anchor?"
    return ""


def _agree(values: Sequence[Tensor], function: Callable[..., Tensor], cases: Sequence[tuple[Any, ...]]) -> bool:
    return all(
        value.shape == (expected := function(*case)).shape
        and torch.allclose(value.double(), expected.double(), rtol=1e-4, atol=1e-6, equal_nan=True)
        for value, case in zip(values, cases, strict=True)
    )


def _first_difference(
    values: Sequence[Tensor], correct: Callable[..., Tensor], cases: Sequence[tuple[Any, ...]]
) -> str:
    for value, case in zip(values, cases, strict=True):
        expected = correct(*case)
        if not torch.allclose(value.double(), expected.double(), rtol=1e-4, atol=1e-6):
            shown = ", ".join(_short(argument) for argument in case)
            return f"For ({shown}) your function gives {_short(value)}, expected is {_short(expected)}."
    return "Your values are not numbers."


def _short(value: Any) -> str:
    return str([round(x, 4) for x in value.flatten().tolist()]) if isinstance(value, Tensor) else str(value)
