"""Chapter 12: what learners would write gets the right message, and its honest best is the ledger's."""

import numpy as np
import pytest
import torch
from scipy import stats

from contrastlab.claims.effects import Effect
from contrastlab.claims.study import Study
from contrastlab.exercises import chapter12
from contrastlab.files import repository_root


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (5, "Right."),
        (3, "0.125"),
        (4, "0.0625"),
        (6, "two-sided"),
        (21, "2^-n"),
        (2, "below the answer"),
        (..., "Replace ..."),
    ],
)
def test_seeds(answer, words, capsys):
    chapter12.check_seeds(answer)
    assert words in capsys.readouterr().out


def by_the_ledger(values):
    return torch.tensor(Effect("", tuple(values.tolist())).interval[0], dtype=torch.float64)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (by_the_ledger, "Right."),
        (lambda v: v.mean() - stats.sem(v.numpy()) * stats.t.ppf(0.975, len(v) - 1), "Right."),
        (lambda v: v.mean() - 1.959964 * v.std() / len(v) ** 0.5, "1.96"),
        (lambda v: torch.tensor(stats.t.interval(0.9, len(v) - 1, v.mean(), stats.sem(v))[0]), "0.975"),
        (lambda v: v.mean() - stats.t.ppf(0.975, len(v) - 1) * v.std(), "square root of n"),
        (lambda v: v.mean() + stats.t.ppf(0.975, len(v) - 1) * v.std() / len(v) ** 0.5, "upper end"),
        (lambda v: v.sort().values[0], "smallest seed"),
        (lambda v: v.mean(), "expected is"),
    ],
)
def test_lower_end(answer, words, capsys):
    chapter12.check_lower_end(answer)
    assert words in capsys.readouterr().out


def leaving_out_in_a_loop(rows):
    best = []
    for i in range(len(rows)):
        others = torch.cat([rows[:i], rows[i + 1 :]]).mean(dim=0)
        best.append(rows[i, int(others.argmax())])
    return torch.stack(best)


def by_the_study(rows):
    return torch.from_numpy(Study("any", ["laptop"], repository_root()).best(np.asarray(rows)))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (leaving_out_in_a_loop, "Right."),
        (by_the_study, "Right."),
        (lambda rows: rows.max(dim=1).values, "luck as accuracy"),
        (lambda rows: rows[:, rows.sum(dim=0).argmax()], "Leave its row out"),
        (lambda rows: rows.mean(dim=1), "expected is"),
        (lambda rows: rows.max(), "shape"),
    ],
)
def test_best(answer, words, capsys):
    chapter12.check_best(answer)
    assert words in capsys.readouterr().out
