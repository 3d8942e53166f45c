"""What an encoder has learned: embeddings of images, kNN and linear accuracy."""

from dataclasses import replace

import torch
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from . import geometry, views
from .config import Config, loss_function
from .data import Images
from .negatives import in_batch
from .train import Trained


@torch.no_grad()
def embed(trained: Trained, images: Images, batch_size: int = 500) -> tuple[Tensor, Tensor]:
    """Backbone features (n, f) and unit embeddings z (n, d) of the images as they are, without augmentation.

    Computed in float32 on the encoder's device, in evaluation mode; returned on the CPU.
    """
    encoder = trained.encoder.eval()
    device = next(encoder.parameters()).device
    features, z = [], []
    for batch in images.images.split(batch_size):
        x = views.standardise(batch.to(device), trained.mean.to(device), trained.std.to(device))
        h = encoder.features(x.contiguous(memory_format=torch.channels_last)).float()
        features.append(h.cpu())
        z.append(encoder.project(h).cpu())
    return torch.cat(features), torch.cat(z)


def knn_accuracy(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, k: int = 20) -> float:
    """Percentage of test rows whose k nearest training rows by cosine similarity vote for the right class.

    train: (n, f), test: (m, f). Votes are equal. Returns a percentage.
    """
    k = min(k, len(train))
    classifier = KNeighborsClassifier(n_neighbors=k, metric="cosine", algorithm="brute")
    classifier.fit(train.numpy(), train_labels.numpy())
    return 100 * float(classifier.score(test.numpy(), test_labels.numpy()))


def linear_accuracy(train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor) -> float:
    """Percentage of test rows that logistic regression on frozen, standardised features gets right.

    The paper trains its linear classifier for 100 epochs of SGD; logistic regression finds the same kind of
    classifier without a learning rate to choose. train: (n, f), test: (m, f). Returns a percentage.
    """
    scaler = StandardScaler().fit(train.numpy())
    classifier = LogisticRegression(C=1.0, max_iter=2000)
    classifier.fit(scaler.transform(train.numpy()), train_labels.numpy())
    return 100 * float(classifier.score(scaler.transform(test.numpy()), test_labels.numpy()))


def metrics(trained: Trained, config: Config, train: Images, test: Images) -> dict[str, float | None]:
    """Every number the book records of an encoder. Geometry is of the held-out images' embeddings z.

    Accuracies are percentages, of the backbone's features unless the name ends in _projected. The geometry of features
    is None where some image's features are all zero, as after a dead layer: they have no direction.
    """
    features, z = embed(trained, train)
    test_features, test_z = embed(trained, test)
    directed = bool((test_features != 0).any(dim=1).all())
    return {
        "linear_accuracy": linear_accuracy(features, train.labels, test_features, test.labels),
        "linear_accuracy_projected": linear_accuracy(z, train.labels, test_z, test.labels),
        "knn_accuracy": knn_accuracy(features, train.labels, test_features, test.labels),
        "knn_accuracy_projected": knn_accuracy(z, train.labels, test_z, test.labels),
        "uniformity": geometry.uniformity(test_z),
        "uniformity_features": geometry.uniformity(test_features) if directed else None,
        "tolerance": geometry.tolerance(test_z, test.labels),
        "tolerance_features": geometry.tolerance(test_features, test.labels) if directed else None,
        "class_gap": geometry.class_gap(test_z, test.labels),
        "effective_rank": geometry.effective_rank(test_z),
        **view_metrics(trained, config, test),
    }


@torch.no_grad()
def view_metrics(trained: Trained, config: Config, images: Images, seed: int = 0) -> dict[str, float]:
    """What two random views of each image tell.

    alignment; positive_similarity, the mean similarity of the two, and nearest_negatives, that of a view to its ten
    nearest other images (both in the paper's Figure 8), or to all if they are fewer; gradient_magnitude, the mean pull
    on a positive, |dL/ds_pos|, under the config's own loss with the negatives of a batch of at most 256 images, all of
    them where the config's k asks for more.
    """
    encoder = trained.encoder.eval()
    device = next(encoder.parameters()).device
    generator = torch.Generator(device).manual_seed(seed)
    z0, z1 = (
        torch.cat([
            encoder(views.augment(batch.to(device), trained.mean.to(device), trained.std.to(device), generator))
            for batch in images.images.split(500)
        ]).cpu()
        for _ in range(2)
    )  # fmt: skip
    s = (z0 @ z1.T).fill_diagonal_(-2)  # (n, n) with no positive in it; n is a test set, a few thousand
    return {
        "alignment": geometry.alignment(z0, z1),
        "positive_similarity": (z0 * z1).sum(dim=1).mean().item(),
        "nearest_negatives": s.topk(min(10, len(s) - 1), dim=1).values.mean().item(),
        "gradient_magnitude": _gradient_magnitude(z0[:256], z1[:256], config),
    }


@torch.enable_grad()
def _gradient_magnitude(z0: Tensor, z1: Tensor, config: Config) -> float:
    s_pos, s_neg = in_batch(z0, z1)
    if config.k is not None:  # chosen for the negatives of training, a whole bank perhaps
        config = replace(config, k=min(config.k, s_neg.shape[1]))
    s_pos.requires_grad_()
    (pull,) = torch.autograd.grad(loss_function(config)(s_pos, s_neg).sum(), s_pos)
    return pull.abs().mean().item()
