"""Chapter 6: its loop is the library's, its losses are Eq. 6 and ours, and its exercises name mistakes."""

import ast
import math
from functools import partial
from types import SimpleNamespace

import jupytext
import pytest
import torch

from contrastlab import data, encoders, losses, train, views
from contrastlab.exercises import chapter06
from contrastlab.files import repository_root
from contrastlab.negatives import MemoryBank
from contrastlab.train import Config


def functions_of_the_chapter():
    """Its imports and functions, without running anything else of it."""
    namespace = {"fast": False}
    for cell in jupytext.read(repository_root() / "chapters" / "06-training-an-encoder.md", fmt="md:myst").cells:
        if cell.cell_type == "code" and "solution" not in cell.metadata.get("tags", []):
            kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
            body = [node for node in ast.parse(cell.source).body if isinstance(node, kept)]
            exec(compile(ast.Module(body, type_ignores=[]), "chapter 6", "exec"), namespace)
    return namespace


@pytest.fixture(scope="module")
def images():
    return data.load("fashion-mini").subset(200)


@pytest.fixture
def chapter(images):
    namespace = functions_of_the_chapter()
    namespace["mean"], namespace["std"] = views.channel_statistics(images.images)
    return namespace


@pytest.mark.parametrize(
    ("loss", "own"),
    [("contrastive", partial(losses.contrastive_loss, tau=0.2)), ("triplet", losses.triplet_loss)],
)
def test_the_loop_written_out_is_the_librarys_to_the_last_bit(chapter, images, monkeypatch, loss, own):
    """In float32, and with the library's memory layout, which decides the order of sums."""
    monkeypatch.setattr(train, "fast_bfloat16", lambda device: False)
    build = partial(encoders.build, dim=16)
    chapter["encoders"] = SimpleNamespace(
        build=lambda *args, **options: build(*args, **options).to(memory_format=torch.channels_last)
    )
    config = Config(loss=loss, width=4, dim=16, epochs=2, batch_size=64, lr=0.05, seed=3)
    library = train.train(config, images, device="cpu", progress=False)
    by_hand = chapter["train_by_hand"](config, images, own)
    epochs = torch.tensor(by_hand.history).view(2, 3).mean(dim=1)  # 200 images: 3 batches of 64, 8 dropped
    torch.testing.assert_close(epochs, torch.tensor(library.history))
    for name, value in library.encoder.state_dict().items():
        assert torch.equal(by_hand.encoder.state_dict()[name], value), name


def test_the_limit_is_eq_6_and_a_collapse_costs_it_nothing(chapter):
    s = 2 * torch.rand(64, 11, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 1
    s_pos, s_neg = s[:, 0], s[:, 1:]
    torch.testing.assert_close(chapter["limit_loss"](s_pos, s_neg), losses.triplet_loss(s_pos, s_neg) / 0.2)
    cold = losses.contrastive_loss(s_pos, s_neg, 1e-4) * 1e-4  # tau L as tau goes to 0
    torch.testing.assert_close(chapter["limit_loss"](s_pos, s_neg, tau=1.0), cold, atol=1e-3, rtol=0)
    ones = torch.ones(4), torch.ones(4, 254)
    assert chapter["limit_loss"](*ones).tolist() == [0] * 4
    torch.testing.assert_close(losses.contrastive_loss(*ones, 0.2), torch.full((4,), math.log(255)))


def test_watched_changes_nothing_and_notes_the_means(chapter):
    log = []
    s_pos, s_neg = torch.tensor([0.5, 0.7]), torch.tensor([[0.1, 0.3], [0.2, 0.6]])
    loss = partial(losses.contrastive_loss, tau=0.2)
    assert torch.equal(chapter["watched"](loss, log)(s_pos, s_neg), loss(s_pos, s_neg))
    assert log == [pytest.approx((0.6, 0.3))]


def test_the_mean_age_is_that_of_the_parts_of_a_real_entry(capsys):
    """Push one direction a dimension, an epoch each, through the linear part of the bank's update."""
    bank = MemoryBank(1, 40)
    entry = torch.zeros(40)
    for epoch in range(40):
        entry = bank.momentum * entry + (1 - bank.momentum) * torch.eye(40)[epoch]
    ages = torch.arange(40, 0, -1)
    chapter06.check_age((entry * ages).sum().item())
    assert capsys.readouterr().out.startswith("Right. ")


@pytest.mark.parametrize(
    ("check", "answer", "words"),
    [
        (chapter06.check_last_batch, 5.47, "Right."),
        (chapter06.check_last_batch, 5.4704, "Right."),
        (chapter06.check_last_batch, 5.54, "loss of a full batch"),
        (chapter06.check_last_batch, 2.708, "last batch alone"),
        (chapter06.check_last_batch, 5.537, "weighed the batches"),
        (chapter06.check_last_batch, 7.892, "base 2"),
        (chapter06.check_last_batch, 4.125, "39 of the one"),
        (chapter06.check_last_batch, 3.0, "below the answer"),
        (chapter06.check_logs, {"flips": "a", "nearest": "b", "rate": "c"}, "Right."),
        (chapter06.check_logs, {"flips": "A", "nearest": ..., "rate": "C"}, "Replace ... by"),
        (chapter06.check_logs, "ABC", "Replace ... by"),
        (chapter06.check_logs, {"flips": "B", "nearest": "C", "rate": "A"}, "Use A, B and C once each"),
        (chapter06.check_logs, {"flips": "A", "nearest": "A", "rate": "C"}, "Use A, B and C once each"),
        (chapter06.check_logs, {"flips": "B", "nearest": "A", "rate": "C"}, "A and B are exchanged"),
        (chapter06.check_age, 2, "Right."),
        (chapter06.check_age, 1.0, "newest half alone"),
        (chapter06.check_age, 1.375, "stopped after three"),
        (chapter06.check_age, 3.0, "above the answer"),
    ],
)
def test_a_learner_gets_the_message(check, answer, words, capsys):
    check(answer)
    assert words in capsys.readouterr().out
