"""The two sources of negatives against a plain reading of their definitions."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy, normalize

from contrastlab.losses import contrastive_loss
from contrastlab.negatives import MemoryBank, in_batch


def unit(n: int, d: int, seed: int) -> torch.Tensor:
    return normalize(torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64), dim=1)


@settings(deadline=None)
@given(n=st.integers(2, 9), d=st.integers(2, 6), seed=st.integers(0, 99))
def test_in_batch_lists_every_other_view_once_in_the_order_after_the_anchor(n, d, seed):
    z0, z1 = unit(n, d, seed), unit(n, d, seed + 100)
    s_pos, s_neg = in_batch(z0, z1)
    assert s_pos.shape == (2 * n,) and s_neg.shape == (2 * n, 2 * n - 2)
    z = torch.cat([z0, z1])
    for i in range(2 * n):
        partner = (i + n) % (2 * n)
        others = [(i + k) % (2 * n) for k in range(1, 2 * n) if k != n]
        assert torch.isclose(s_pos[i], z[i] @ z[partner])
        torch.testing.assert_close(s_neg[i], z[others] @ z[i])


def test_in_batch_with_the_loss_is_the_usual_cross_entropy():
    z0, z1, tau = unit(16, 8, 0), unit(16, 8, 1), 0.1
    z = torch.cat([z0, z1])
    logits = (z @ z.T / tau).fill_diagonal_(float("-inf"))
    peer = cross_entropy(logits, (torch.arange(32) + 16) % 32, reduction="none")
    torch.testing.assert_close(contrastive_loss(*in_batch(z0, z1), tau), peer)


def test_in_batch_passes_gradients_to_both_views():
    z0, z1 = unit(3, 4, 0).requires_grad_(), unit(3, 4, 1).requires_grad_()

    def loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return contrastive_loss(*in_batch(normalize(a, dim=1), normalize(b, dim=1)), 0.3).sum()

    assert torch.autograd.gradcheck(loss, (z0, z1))


def test_in_batch_keeps_no_matrix_for_its_gradient():
    """An index of the negatives, as it once had, would be 2N x 2N numbers and half of the time."""
    z0, z1, saved = unit(64, 8, 0).requires_grad_(), unit(64, 8, 1).requires_grad_(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: saved.append(x) or x, lambda x: x):
        in_batch(z0, z1)[1].sum().backward()
    assert 0 < sum(x.numel() for x in saved) < 128 * 128


def test_views_of_different_length_are_refused():
    with pytest.raises(ValueError, match="same shape, got \\(4, 8\\) and \\(3, 8\\)"):
        in_batch(unit(4, 8, 0), unit(3, 8, 1))


def test_one_image_is_refused():
    with pytest.raises(ValueError, match="at least two"):
        in_batch(unit(1, 8, 0), unit(1, 8, 1))


def test_bank_gives_the_own_entry_and_every_other_one():
    bank = MemoryBank(7, 5, generator=torch.Generator().manual_seed(0))
    index = torch.tensor([0, 3, 6])
    z = unit(3, 5, 1).float()
    s_pos, s_neg = bank.similarities(z, index)
    assert s_neg.shape == (3, 6)
    for row, i in enumerate(index.tolist()):
        others = [j for j in range(7) if j != i]
        torch.testing.assert_close(s_pos[row], z[row] @ bank.z[i])
        torch.testing.assert_close(s_neg[row].sort().values, (bank.z[others] @ z[row]).sort().values)


def test_bank_moves_by_its_momentum_and_stays_on_the_sphere():
    bank = MemoryBank(4, 3, momentum=0.25, generator=torch.Generator().manual_seed(0))
    before, z, index = bank.z.clone(), unit(2, 3, 1).float(), torch.tensor([2, 0])
    bank.update(z, index)
    torch.testing.assert_close(bank.z[index], normalize(0.25 * before[index] + 0.75 * z, dim=1))
    assert torch.equal(bank.z[[1, 3]], before[[1, 3]])
    torch.testing.assert_close(bank.z.norm(dim=1), torch.ones(4))


def test_no_gradient_reaches_the_bank():
    bank = MemoryBank(4, 3)
    z = unit(2, 3, 1).float().requires_grad_()
    contrastive_loss(*bank.similarities(z, torch.tensor([0, 1])), 0.1).sum().backward()
    assert z.grad is not None and bank.z.grad is None and not bank.z.requires_grad


def test_bank_refuses_a_momentum_that_would_never_learn():
    with pytest.raises(ValueError, match="momentum must be in \\[0, 1\\), got 1"):
        MemoryBank(4, 3, momentum=1)
