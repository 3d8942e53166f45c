"""Exercises of every chapter: the solution passes, each misconception gets its own message, an unanswered cell helps.

And what chapters 2 and 3 write out by hand agrees with the library.
"""

import ast
import importlib
import pkgutil

import jupytext
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from contrastlab import exercises, hardness, losses
from contrastlab.exercises import chapter02, chapter03
from contrastlab.files import repository_root

SOURCES = {source.stem: source for source in sorted((repository_root() / "chapters").glob("[0-9][0-9]-*.md"))}
MODULES = {
    name: importlib.import_module(f"{exercises.__name__}.{name}")
    for _, name, _ in pkgutil.iter_modules(exercises.__path__)
    if name.startswith("chapter")
}


def code_cells(name):
    return [cell for cell in jupytext.read(SOURCES[name], fmt="md:myst").cells if cell.cell_type == "code"]


def is_solution(cell):
    return "solution" in cell.metadata.get("tags", [])


def is_answer(cell):
    return ".check_" in cell.source and not is_solution(cell)


def names_of(chapter):
    """What the chapter's imports and function definitions define, without running anything else of it."""
    namespace = {}
    for cell in code_cells(chapter):
        if not is_solution(cell):
            kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
            body = [node for node in ast.parse(cell.source).body if isinstance(node, kept)]
            exec(compile(ast.Module(body, type_ignores=[]), chapter, "exec"), namespace)
    return namespace


def cells_that(condition):
    return [
        pytest.param(chapter, cell.source, id=f"{chapter[:2]}-{number}")
        for chapter in SOURCES
        for number, cell in enumerate(filter(condition, code_cells(chapter)), start=1)
    ]


def misconceptions():
    """(check, message, wrong answer) of every MISCONCEPTIONS table; NAME_MISCONCEPTIONS belongs to check_name."""
    return [
        pytest.param(
            getattr(module, f"check_{table[: -len('_MISCONCEPTIONS')].lower()}"), message, wrong, id=message[:40]
        )
        for module in MODULES.values()
        for table in vars(module)
        if table.endswith("_MISCONCEPTIONS")
        for message, wrong in getattr(module, table).items()
    ]


@pytest.mark.parametrize("chapter", SOURCES)
def test_every_chapter_has_two_exercises_and_their_solutions(chapter):
    cells = code_cells(chapter)
    assert len([*filter(is_answer, cells)]) == len([*filter(is_solution, cells)]) >= 2
    assert all("hide-cell" in cell.metadata["tags"] for cell in cells if is_solution(cell))


@pytest.mark.parametrize(("chapter", "source"), cells_that(is_solution))
def test_the_solution_passes_its_check(chapter, source, capsys):
    exec(source, names_of(chapter))
    assert capsys.readouterr().out.startswith("Right. ")


@pytest.mark.parametrize(("chapter", "source"), cells_that(is_answer))
def test_an_unanswered_cell_says_what_to_do(chapter, source, capsys):
    exec(source, names_of(chapter))
    printed = capsys.readouterr().out
    assert printed.startswith("Not yet. ") and "Replace ... by" in printed


@pytest.mark.parametrize(("check", "message", "wrong"), misconceptions())
def test_each_misconception_gets_its_own_message(check, message, wrong, capsys):
    check(wrong)
    assert capsys.readouterr().out == f"Not yet. {message}\n"


# What learners would write, in plain PyTorch, each with words of the message that it must get.


def raw_loss(h, h_pos, h_neg, tau, unit=True, log=True, positive=True, sign=-1):
    z, z_pos, z_neg = (normalize(x, dim=-1) if unit else x for x in (h, h_pos, h_neg))
    e_pos = ((z * z_pos).sum(dim=1) / tau).exp()
    e_neg = ((z_neg @ z[:, :, None])[:, :, 0] / tau).exp()  # (B, K, d) @ (B, d, 1) -> (B, K, 1)
    P = e_pos / (e_neg.sum(dim=1) + (e_pos if positive else 0))
    return sign * P.log() if log else P


def batch_loss(z, tau, diagonal=-torch.inf, partner=None, reduce=torch.mean):
    n = len(z) // 2
    s = (z @ z.T).clone().fill_diagonal_(diagonal)
    partner = torch.arange(2 * n).roll(n) if partner is None else partner
    return reduce(torch.nn.functional.cross_entropy(s / tau, partner, reduction="none"))


def diagonal_kept(z, tau):
    return torch.nn.functional.cross_entropy(z @ z.T / tau, torch.arange(len(z)).roll(len(z) // 2))


def diagonal_as_target(z, tau):
    return torch.nn.functional.cross_entropy(z @ z.T / tau, torch.arange(len(z)))


def paired_neighbours(z, tau):
    return batch_loss(z, tau, partner=torch.arange(len(z)).view(-1, 2).flip(1).flatten())


def clip_style(z, tau):
    s, target = z.chunk(2)[0] @ z.chunk(2)[1].T / tau, torch.arange(len(z) // 2)
    both = torch.nn.functional.cross_entropy(s, target) + torch.nn.functional.cross_entropy(s.T, target)
    return both / 2


def gradient(s_pos, s_neg, tau, positive=-1.0, factor=True):
    P = torch.softmax(torch.cat([s_pos[:, None], s_neg], dim=1) / tau, dim=1)
    P[:, 0] += positive
    return P / tau if factor else P


WRITTEN_BY_LEARNERS = [
    (chapter02.check_loss, lambda *case: raw_loss(*case, unit=False), "Divide each by its length"),
    (chapter02.check_loss, lambda h, p, n, tau: raw_loss(h, p, n, 1 / tau), "multiplied the similarities by tau"),
    (chapter02.check_loss, lambda h, p, n, tau: raw_loss(h, p, n, 1.0), "temperature is missing"),
    (chapter02.check_loss, lambda *case: raw_loss(*case, positive=False), "missing from the denominator"),
    (chapter02.check_loss, lambda *case: raw_loss(*case, sign=1), "forgot the minus"),
    (chapter02.check_loss, lambda *case: raw_loss(*case, log=False), "This is P"),
    (chapter02.check_loss, lambda *case: raw_loss(*case).mean(), "has shape ()"),
    (chapter02.check_loss, lambda *case: 2 * raw_loss(*case), "expected is"),
    (chapter02.check_batch_loss, diagonal_kept, "among its own negatives"),
    (chapter02.check_batch_loss, diagonal_as_target, "took the diagonal as the positive"),
    (chapter02.check_batch_loss, lambda z, tau: batch_loss(z, tau, diagonal=0.0), "exp(0) = 1 still counts"),
    (chapter02.check_batch_loss, paired_neighbours, "paired rows 0 and 1"),
    (chapter02.check_batch_loss, clip_style, "N - 1 views of the other kind"),
    (chapter02.check_batch_loss, lambda z, tau: batch_loss(z, tau, reduce=torch.sum), "Take the mean"),
    (chapter02.check_batch_loss, lambda z, tau: batch_loss(z, 1 / tau), "multiplied the similarities by tau"),
    (chapter02.check_batch_loss, lambda z, tau: -batch_loss(z, tau), "forgot the minus"),
    (chapter02.check_batch_loss, lambda z, tau: batch_loss(z, tau, reduce=lambda x: x), "expected is ()"),
    (chapter03.check_gradient, lambda *case: gradient(*case, factor=False), "factor 1 / tau is missing"),
    (chapter03.check_gradient, lambda *case: gradient(*case) * case[2] ** 2, "multiplied P by tau"),
    (chapter03.check_gradient, lambda *case: gradient(*case, positive=0.0), "P / tau everywhere"),
    (chapter03.check_gradient, lambda *case: gradient(*case).abs(), "forgot the minus at the positive"),
    (chapter03.check_gradient, lambda *case: -gradient(*case), "direction downhill"),
    (chapter03.check_gradient, lambda s_pos, s_neg, tau: gradient(s_pos, s_neg, tau)[:, 1:], "has shape"),
    (chapter03.check_peak, 1.0, "exact copy"),
    (chapter03.check_peak, -1.22, "outside [-1, 1]"),
    (chapter03.check_peak, 1.22, "No similarity passes 1"),
    (chapter03.check_peak, 0.35, "multiplied by tau"),
    (chapter03.check_peak, 0.5, "below the answer"),
]


@pytest.mark.parametrize(("check", "answer", "words"), WRITTEN_BY_LEARNERS, ids=[row[2] for row in WRITTEN_BY_LEARNERS])
def test_a_learner_who_writes_it_gets_the_message(check, answer, words, capsys):
    check(answer)
    printed = capsys.readouterr().out
    assert printed.startswith("Not yet. ") and words in printed


@pytest.mark.parametrize(
    ("check", "answer"),
    [
        (chapter02.check_loss, raw_loss),
        (chapter02.check_batch_loss, batch_loss),
        (chapter03.check_gradient, gradient),
        (chapter03.check_peak, 0.82),
    ],
)
def test_another_right_answer_passes_too(check, answer, capsys):
    check(answer)
    assert capsys.readouterr().out.startswith("Right. ")


def test_the_peak_is_where_the_force_is_largest(capsys):
    s = torch.linspace(-1, 1, 200_001, dtype=torch.float64)
    force = (s / 0.4).exp() * (1 - s**2).sqrt()
    chapter03.check_peak(s[force.argmax()].item())
    assert capsys.readouterr().out.startswith("Right. ")


LOSS_CHAPTER, GRADIENT_CHAPTER = names_of("02-the-contrastive-loss"), names_of("03-its-gradient-is-a-softmax")


@settings(deadline=None)
@given(st.lists(st.floats(-1, 1, width=32), min_size=2, max_size=20), st.floats(0.1, 10))
def test_the_losses_written_out_agree_with_the_library(similarities, tau):
    s = torch.tensor([similarities], dtype=torch.float64)
    expected = losses.contrastive_loss(s[:, 0], s[:, 1:], tau)
    for name in ("plain_loss", "contrastive_loss"):
        torch.testing.assert_close(LOSS_CHAPTER[name](s[:, 0], s[:, 1:], tau), expected)


@settings(deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=3, max_size=12), st.floats(0.1, 10))
def test_the_feature_gradient_written_out_agrees_with_the_library(angles, tau):
    angle = torch.tensor(angles, dtype=torch.float64)
    z, z_pos, *z_neg = torch.stack([angle.cos(), angle.sin()], dim=1)  # each (2,)
    namespace = GRADIENT_CHAPTER | {"z": z, "z_pos": z_pos, "z_neg": torch.stack(z_neg)}
    source = next(cell.source for cell in code_cells("03-its-gradient-is-a-softmax") if "def gradient(" in cell.source)
    exec(source[source.index("def gradient(") :], namespace)
    expected = hardness.feature_gradient(z[None], z_pos[None], torch.stack(z_neg), tau)[0]
    torch.testing.assert_close(namespace["gradient"](tau), expected, rtol=1e-6, atol=1e-9)
