"""Checks of what a reader passes in. Every message says what was given, what was expected and what to do."""

import math

import torch
from torch import Tensor


def check_temperature(tau: float | Tensor) -> None:
    """Raise ValueError unless the temperature is a finite number above 0."""
    value = float(tau.detach() if isinstance(tau, Tensor) else tau)
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"temperature must be a finite number > 0, got tau = {value:g}. Try 0.07 to 1.0.")


def check_similarities(s_pos: Tensor, s_neg: Tensor) -> None:
    """Raise ValueError unless s_pos is (B,), s_neg is (B, K) with K >= 1, and both are finite."""
    if s_pos.ndim != 1 or s_neg.ndim != 2 or len(s_pos) != len(s_neg) or s_neg.shape[1] < 1:
        raise ValueError(
            "expected s_pos of shape (B,) and s_neg of shape (B, K) with K >= 1, "
            f"got {tuple(s_pos.shape)} and {tuple(s_neg.shape)}. One row of negatives belongs to one positive."
        )
    _check_finite(s_pos, "s_pos")
    _check_finite(s_neg, "s_neg")


def check_negatives(s_neg: Tensor) -> None:
    """Raise ValueError unless s_neg is (B, K) with K >= 1 and finite."""
    if s_neg.ndim != 2 or s_neg.shape[1] < 1:
        raise ValueError(
            f"expected s_neg of shape (B, K) with K >= 1, got {tuple(s_neg.shape)}. "
            "For a single anchor write s_neg[None, :]."
        )
    _check_finite(s_neg, "s_neg")


def check_embeddings(z: Tensor, name: str = "z") -> None:
    """Raise ValueError unless z is (n, d) with n >= 2, finite, and without zero rows."""
    if z.ndim != 2:
        raise ValueError(f"expected {name} of shape (n, d), one embedding a row, got {tuple(z.shape)}")
    if len(z) < 2:
        raise ValueError(f"{name} holds {len(z)} sample(s), but pairs need at least two. Pass a larger batch.")
    _check_finite(z, name)
    zero = (z == 0).all(dim=1)
    if _known(zero) and bool(zero.any()):
        raise ValueError(
            f"{name} holds {int(zero.sum())} zero vector(s), which have no direction and so no cosine similarity. "
            "Look for a dead layer or an empty image."
        )


def check_views(z0: Tensor, z1: Tensor) -> None:
    """Raise ValueError unless z0 and z1 hold two views of the same samples."""
    if z0.shape != z1.shape:
        raise ValueError(
            f"the two views must have the same shape, got {tuple(z0.shape)} and {tuple(z1.shape)}. "
            "Row i of both must come from the same image."
        )
    check_embeddings(z0, "z0")
    check_embeddings(z1, "z1")


def check_labels(z: Tensor, labels: Tensor) -> None:
    """Raise ValueError unless there is one label a row of z and at least one class with two members."""
    if labels.shape != (len(z),):
        raise ValueError(f"expected one label a row: {len(z)} embeddings, but labels of shape {tuple(labels.shape)}")
    if len(labels.unique()) == len(labels):
        raise ValueError("no two samples share a label, so there is no pair of one class to compare")


def _check_finite(x: Tensor, name: str) -> None:
    if not _known(x) or bool(x.detach().sum().isfinite()):  # one cheap pass; a sum that overflows is looked at again
        return
    finite = torch.isfinite(x)
    if not bool(finite.all()):
        raise ValueError(
            f"{name} holds {int((~finite).sum())} value(s) that are NaN or infinite out of {x.numel()}. "
            "Look for a learning rate that is too high, or a division by zero before this point."
        )


def _known(x: Tensor) -> bool:
    """Whether values can be looked at: fake and traced tensors have shapes but no values."""
    return type(x) in (Tensor, torch.nn.Parameter) and x.device.type != "meta"
