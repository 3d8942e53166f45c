"""Chapter 4: what learners would write gets the right message, and its functions agree with the library's."""

import math
import re

import jupytext
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contrastlab import hardness
from contrastlab.exercises import chapter04
from contrastlab.files import repository_root


def function_of_the_chapter(name):
    """The function as the chapter writes it out, without the rest of its cell."""
    source = repository_root() / "chapters" / "04-what-temperature-does.md"
    cell = next(c.source for c in jupytext.read(source, fmt="md:myst").cells if f"def {name}(" in c.source)
    namespace = {"math": math, "torch": torch, "relative_penalty": hardness.relative_penalty}
    exec(re.search(rf"^def {name}\(.*\n(?:    .*\n)+", cell, re.MULTILINE).group(), namespace)
    return namespace[name]


def variance(s_neg, r):
    return (r * s_neg**2).sum(dim=1) - (r * s_neg).sum(dim=1) ** 2


def shares(s_neg, tau):
    return torch.softmax(s_neg / tau, dim=1)


# What learners would write, each with words of the message that it must get.
WRONG_SLOPES = {
    "divided by tau^2": lambda s, tau: variance(s, shares(s, tau)) / tau**2,
    "divided by tau:": lambda s, tau: variance(s, shares(s, tau)) / tau,
    "This is dH/dbeta": lambda s, tau: -variance(s, shares(s, tau)) / tau,
    "sign is wrong": lambda s, tau: -variance(s, shares(s, tau)) / tau**3,
    "variance alone": lambda s, tau: variance(s, shares(s, tau)),
    "weigh the same": lambda s, tau: variance(s, torch.full_like(s, 1 / s.shape[1])) / tau**3,
    "K - 1": lambda s, tau: torch.var(s, dim=1) / tau**3,
    "subtract the mean": lambda s, tau: (shares(s, tau) * s * s).sum(dim=1) / tau**3,
    "not s.mean()": lambda s, tau: (shares(s, tau) * (s - s.mean(dim=1)[:, None]) ** 2).sum(dim=1) / tau**3,
    "softmax of s.": lambda s, tau: variance(s, torch.softmax(s, dim=1)) / tau**3,
    "standard deviation": lambda s, tau: variance(s, shares(s, tau)).sqrt() / tau**3,
    "in bits": lambda s, tau: variance(s, shares(s, tau)) / tau**3 * math.log2(math.e),
}


@pytest.mark.parametrize("words", WRONG_SLOPES)
def test_each_wrong_slope_gets_its_own_message(words, capsys):
    chapter04.check_slope(WRONG_SLOPES[words])
    printed = capsys.readouterr().out
    assert printed.startswith("Not yet. ")
    assert [other for other in WRONG_SLOPES if other in printed] in ([words], ["weigh the same", words])


def test_no_slope_misconception_goes_untested():
    assert len(WRONG_SLOPES) == len(chapter04.SLOPE_MISCONCEPTIONS)


def test_an_unknown_wrong_slope_is_shown_the_first_difference(capsys):
    chapter04.check_slope(lambda s, tau: s.sum(dim=1))
    assert "expected is" in capsys.readouterr().out


def test_a_mean_that_lost_its_dimension_fails_aloud(capsys):
    chapter04.check_slope(lambda s, tau: (shares(s, tau) * (s - (shares(s, tau) * s).sum(dim=1)) ** 2).sum(dim=1))
    assert "raised RuntimeError" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (0.721, "twice the share"),
        (0.130, "used the similarity 0.9"),
        (0.167, "base 10"),
        (0.0502, "base 2"),
        (13.8, "beta = 1/tau"),
        (3.45, "multiplied gap and logarithm"),
        (0.0005, "divided the gap by the count"),
    ],
)
def test_each_wrong_half_push_gets_its_own_message(answer, words, capsys):
    chapter04.check_half_push(answer)
    printed = capsys.readouterr().out
    assert printed.startswith("Not yet. ") and words in printed


def test_half_push_takes_two_or_three_digits_and_no_other(capsys):
    for answer, verdict in ((0.072, "Right."), (0.0724, "Right."), (0.07, "Not yet."), (0.075, "Not yet.")):
        chapter04.check_half_push(answer)
        assert capsys.readouterr().out.startswith(verdict)


def test_the_right_half_push_gives_one_negative_half():
    s_neg = torch.full((1, 1001), 0.4, dtype=torch.float64)
    s_neg[0, 0] = 0.9
    assert hardness.relative_penalty(s_neg, 0.5 / math.log(1000))[0, 0].item() == pytest.approx(0.5)


ENTROPY, INTERVAL = function_of_the_chapter("entropy"), function_of_the_chapter("interval")


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=20), st.floats(0.01, 10))
def test_the_functions_written_out_agree_with_the_library(similarities, tau):
    s_neg = torch.tensor([similarities], dtype=torch.float64)
    torch.testing.assert_close(ENTROPY(s_neg, tau), hardness.penalty_entropy(s_neg, tau))
    # The library forgives the share a rounding of 1e-6, so its answer lies between these two, nearly always the same.
    assert INTERVAL(s_neg, tau) <= hardness.penalty_interval(s_neg, tau) <= INTERVAL(s_neg, tau, share=0.95 - 2e-6)
