"""The probes on features whose right answer is known, and every recorded metric on a real encoder."""

import math
from dataclasses import replace

import pytest
import torch

from contrastlab import data, evaluate
from contrastlab.train import Config, train


def two_classes(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(2, (n,), generator=generator)
    x = torch.randn(n, 4, generator=generator)
    x[:, 0] += 8 * labels - 4
    return x, labels


@pytest.mark.parametrize("accuracy", [evaluate.knn_accuracy, evaluate.linear_accuracy])
def test_separable_classes_are_told_apart_and_random_labels_are_not(accuracy):
    x, labels = two_classes(400, 0)
    y, test_labels = two_classes(400, 1)
    assert accuracy(x, labels, y, test_labels) > 99
    random = torch.randint(2, (400,), generator=torch.Generator().manual_seed(2))
    assert accuracy(x, labels, y, random) < 60


def test_every_metric_of_a_short_run_is_a_finite_number():
    images, test = data.load("fashion-mini", "train").subset(192), data.load("fashion-mini", "test").subset(100)
    config = Config(epochs=1, batch_size=32, width=4, dim=16)
    trained = train(config, images, device="cpu", progress=False)
    metrics = evaluate.metrics(trained, config, images, test)
    assert all(math.isfinite(value) for value in metrics.values())
    assert all(0 <= metrics[name] <= 100 for name in metrics if "accuracy" in name)
    assert metrics["positive_similarity"] == pytest.approx(1 - metrics["alignment"] / 2, abs=1e-5)


def test_the_gradient_magnitude_is_that_of_the_runs_own_loss():
    images = data.load("fashion-mini", "test").subset(40)
    config = Config(epochs=1, batch_size=20, width=4, dim=16, tau=0.1)
    trained = train(config, images, device="cpu", progress=False)

    def magnitude(**change: object) -> float:
        return evaluate.view_metrics(trained, replace(config, **change), images)["gradient_magnitude"]

    assert magnitude(loss="simple", tau=None) == pytest.approx(1), "the simple loss pulls with weight 1, always"
    assert 0 < magnitude(tau=0.1) < 1 / 0.1, "(1 - P) / tau of Eq. 4"
    assert magnitude(loss="hard_contrastive", k=1) < magnitude(tau=0.1), "fewer negatives, larger P"
    assert magnitude(loss="hard_contrastive", alpha=1.0) == pytest.approx(magnitude())


def test_more_hard_negatives_than_a_measured_batch_holds_are_all_of_it():
    """A bank of thousands trains with k = 4095; the measure has at most 510 negatives, here 2 * 40 - 2."""
    images = data.load("fashion-mini", "test").subset(40)
    config = Config(epochs=1, batch_size=20, width=4, dim=16, loss="hard_contrastive", k=10)
    trained = train(config, images, device="cpu", progress=False)
    many, all_ = (evaluate.view_metrics(trained, replace(config, k=k), images) for k in (4095, 78))
    assert many == all_


def test_a_test_split_of_fewer_than_ten_images_is_measured():
    images = data.load("fashion-mini", "test").subset(40)
    trained = train(Config(epochs=1, batch_size=20, width=4, dim=16), images, device="cpu", progress=False)
    assert all(math.isfinite(value) for value in evaluate.view_metrics(trained, Config(), images.subset(5)).values())


def test_embedding_is_repeatable_and_free_of_batch_effects():
    images = data.load("fashion-mini", "train").subset(96)
    trained = train(Config(epochs=1, batch_size=32, width=4, dim=16), images, device="cpu", progress=False)
    features, z = evaluate.embed(trained, images)
    assert features.shape == (96, 32) and z.shape == (96, 16)
    torch.testing.assert_close(evaluate.embed(trained, images, batch_size=7)[1], z)
