"""Who gets pushed, and how hard: closed forms against autograd, definitions by brute force, the paper's numbers."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from torch.autograd import grad
from torch.nn.functional import normalize

from contrastlab.hardness import (
    effective_negatives,
    feature_gradient,
    gradient_magnitude,
    penalty_entropy,
    penalty_entropy_slope,
    penalty_interval,
    probabilities,
    relative_penalty,
)
from contrastlab.losses import contrastive_loss

law = settings(deadline=None, max_examples=60, derandomize=True)
seeds = st.integers(0, 2**31)
anchors = st.integers(1, 5)
negatives = st.integers(1, 40)
taus = st.floats(-3, 1).map(lambda exponent: 10**exponent)
moderate_taus = st.floats(math.log10(0.02), 1).map(lambda exponent: 10**exponent)


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    """Similarities uniform in [-1, 1], in float64."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1


def directions(*shape: int, seed: int = 0) -> torch.Tensor:
    """Unit vectors along the last dimension, in float64."""
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(*shape, generator=generator, dtype=torch.float64), dim=-1)


def loss_gradients(s_pos, s_neg, tau):
    s_pos, s_neg = s_pos.clone().requires_grad_(), s_neg.clone().requires_grad_()
    return grad(contrastive_loss(s_pos, s_neg, tau).sum(), (s_pos, s_neg))


class TestProbabilitiesAndPenalty:
    @law
    @given(anchors, negatives, taus, seeds)
    def test_P_is_one_softmax_over_positive_and_negatives(self, B, K, tau, seed):
        s_pos, s_neg = uniform(B, seed=seed), uniform(B, K, seed=seed + 1)
        P_pos, P_neg = probabilities(s_pos, s_neg, tau)
        assert P_pos.shape == (B,) and P_neg.shape == (B, K)
        torch.testing.assert_close(P_pos + P_neg.sum(dim=1), torch.ones_like(s_pos), rtol=0, atol=1e-12)
        torch.testing.assert_close(P_pos, torch.exp(-contrastive_loss(s_pos, s_neg, tau)), rtol=1e-9, atol=1e-300)

    def test_P_of_an_anchor_that_can_be_checked_on_paper(self):
        P_pos, P_neg = probabilities(torch.tensor([0.1]), torch.tensor([[0.1, 0.0]]), tau=0.1)
        total = 2 * math.e + 1
        assert P_pos.tolist() == pytest.approx([math.e / total], rel=1e-6)
        assert P_neg[0].tolist() == pytest.approx([math.e / total, 1 / total], rel=1e-6)

    @law
    @given(anchors, negatives, st.floats(math.log10(0.005), 1).map(lambda exponent: 10**exponent), seeds)
    def test_r_is_positive_and_sums_to_1(self, B, K, tau, seed):
        r = relative_penalty(uniform(B, K, seed=seed), tau)
        assert r.shape == (B, K)
        assert (r > 0).all()
        torch.testing.assert_close(r.sum(dim=1), torch.ones(B, dtype=r.dtype), rtol=0, atol=1e-12)

    @law
    @given(anchors, negatives, taus, seeds)
    def test_pushes_and_pull_have_equal_budgets(self, B, K, tau, seed):
        pull, push = loss_gradients(uniform(B, seed=seed), uniform(B, K, seed=seed + 1), tau)
        assert (pull <= 0).all() and (push >= 0).all()
        torch.testing.assert_close(push.sum(dim=1), -pull, rtol=1e-12, atol=0)

    @law
    @given(anchors, negatives, moderate_taus, seeds)
    def test_r_is_the_push_on_a_negative_over_the_pull_on_the_positive(self, B, K, tau, seed):
        s_pos, s_neg = uniform(B, seed=seed), uniform(B, K, seed=seed + 1)
        pull, push = loss_gradients(s_pos, s_neg, tau)
        torch.testing.assert_close(relative_penalty(s_neg, tau), push / -pull[:, None], rtol=1e-9, atol=0)

    @law
    @given(st.floats(-1, 1), st.floats(-1, 1), moderate_taus)
    def test_a_lead_of_tau_in_similarity_is_worth_a_factor_e(self, s, other, tau):
        r = relative_penalty(torch.tensor([[s, s + tau, other]], dtype=torch.float64), tau)[0]
        assert (r[1] / r[0]).item() == pytest.approx(math.e, rel=1e-9)

    def test_two_that_tie_for_nearest_share_the_push_however_small_tau_is(self):
        r = relative_penalty(torch.tensor([[0.9, 0.9, 0.5]]), tau=0.001)
        assert r.tolist() == [[0.5, 0.5, 0.0]]


class TestEntropy:
    @law
    @given(anchors, negatives, taus, seeds)
    def test_lies_between_0_and_log_K_and_effective_negatives_between_1_and_K(self, B, K, tau, seed):
        s_neg = uniform(B, K, seed=seed)
        entropy, effective = penalty_entropy(s_neg, tau), effective_negatives(s_neg, tau)
        assert entropy.shape == effective.shape == (B,)
        assert entropy.min() >= 0 and entropy.max() <= math.log(K) + 1e-12
        assert effective.min() >= 1 and effective.max() <= K * (1 + 1e-12)

    @law
    @given(anchors, negatives, taus, seeds)
    def test_agrees_with_the_sum_over_r_log_r(self, B, K, tau, seed):
        s_neg = uniform(B, K, seed=seed)
        expected = [
            -math.fsum(r * math.log(r) for r in row if r > 0) for row in relative_penalty(s_neg, tau).tolist()
        ]
        assert penalty_entropy(s_neg, tau).tolist() == pytest.approx(expected, rel=1e-9, abs=1e-15)

    @law
    @given(anchors, st.integers(2, 40), moderate_taus, st.floats(1.05, 20), seeds)
    def test_strictly_rises_with_the_temperature(self, B, K, tau, factor, seed):
        s_neg = uniform(B, K, seed=seed)
        assert (penalty_entropy(s_neg, tau * factor) > penalty_entropy(s_neg, tau)).all()
        assert (penalty_entropy_slope(s_neg, tau) > 0).all()

    @law
    @given(anchors, st.integers(2, 40), moderate_taus, seeds)
    def test_slope_is_the_derivative_of_the_entropy(self, B, K, tau, seed):
        s_neg = uniform(B, K, seed=seed)
        slope = penalty_entropy_slope(s_neg, tau)
        assert slope.shape == (B,)
        variable = torch.full((1,), tau, dtype=torch.float64, requires_grad=True)
        for i in range(B):
            (derivative,) = grad(penalty_entropy(s_neg[i : i + 1], variable).sum(), variable)
            assert slope[i].item() == pytest.approx(derivative.item(), rel=1e-6, abs=1e-12)
        step = 1e-4 * tau
        difference = (penalty_entropy(s_neg, tau + step) - penalty_entropy(s_neg, tau - step)) / (2 * step)
        torch.testing.assert_close(slope, difference, rtol=1e-4, atol=1e-9 / tau)

    @law
    @given(anchors, st.integers(2, 40), taus, seeds)
    def test_slope_is_the_variance_under_r_over_tau_cubed(self, B, K, tau, seed):
        s_neg = uniform(B, K, seed=seed)
        expected = []
        for r, s in zip(relative_penalty(s_neg, tau).tolist(), s_neg.tolist(), strict=True):
            mean = math.fsum(a * b for a, b in zip(r, s, strict=True))
            expected.append(math.fsum(a * (b - mean) ** 2 for a, b in zip(r, s, strict=True)) / tau**3)
        assert penalty_entropy_slope(s_neg, tau).tolist() == pytest.approx(expected, rel=1e-6, abs=1e-12)

    @law
    @given(st.integers(1, 40), st.floats(-1, 1), taus)
    def test_where_all_negatives_tie_temperature_changes_nothing(self, K, s, tau):
        s_neg = torch.full((1, K), s, dtype=torch.float64)
        assert penalty_entropy(s_neg, tau).item() == pytest.approx(math.log(K), abs=1e-12)
        assert abs(penalty_entropy_slope(s_neg, tau).item()) * tau**3 < 1e-28

    @pytest.mark.parametrize("tied", [1, 2, 5])
    def test_ends_at_the_number_of_tied_nearest_and_at_K(self, tied):
        s_neg = torch.tensor([[0.8] * tied + [0.7, 0.1, -0.4]], dtype=torch.float64)
        assert effective_negatives(s_neg, 0.001).item() == pytest.approx(tied, rel=1e-12)
        assert effective_negatives(s_neg, 1e4).item() == pytest.approx(tied + 3, rel=1e-6)

    @law
    @given(anchors, negatives, moderate_taus, seeds)
    def test_r_solves_the_worst_case_of_which_the_entropy_is_the_price(self, B, K, tau, seed):
        """tau log mean exp(s / tau) = E_r s - tau KL(r || uniform), with KL = log K - H."""
        s_neg = uniform(B, K, seed=seed)
        r = relative_penalty(s_neg, tau)
        price = tau * (math.log(K) - penalty_entropy(s_neg, tau))
        soft_maximum = tau * ((s_neg / tau).logsumexp(dim=1) - math.log(K))
        torch.testing.assert_close((r * s_neg).sum(dim=1) - price, soft_maximum, rtol=0, atol=1e-12)


def interval_by_definition(row: list[float], tau: float, share: float) -> float:
    """The largest s such that the negatives at or above it receive together at least the share."""
    weights = [math.exp((s - max(row)) / tau) for s in row]
    for s in sorted(set(row), reverse=True):
        if math.fsum(w for w, other in zip(weights, row, strict=True) if other >= s) >= share * math.fsum(weights):
            return s
    return min(row)


class TestPenaltyInterval:
    @law
    @given(anchors, negatives, taus, st.floats(0.01, 0.99), seeds)
    def test_agrees_with_its_definition(self, B, K, tau, share, seed):
        s_neg = uniform(B, K, seed=seed)
        expected = [interval_by_definition(row, tau, share) for row in s_neg.tolist()]
        assert penalty_interval(s_neg, tau, share).tolist() == expected

    @law
    @given(st.lists(st.sampled_from([-0.5, 0.0, 0.25, 0.5]), min_size=1, max_size=12), taus, st.floats(0.01, 0.99))
    def test_agrees_with_its_definition_where_negatives_tie(self, row, tau, share):
        got = penalty_interval(torch.tensor([row], dtype=torch.float64), tau, share).item()
        assert got == interval_by_definition(row, tau, share)

    @pytest.mark.parametrize(
        ("tau", "lower"), [(0.07, 0.790), (0.2, 0.401), (0.3, 0.108), (0.7, -0.581), (1.0, -0.723)]
    )
    def test_of_similarities_spread_evenly_over_the_whole_range(self, tau, lower):
        """The setting of the paper's Fig. 3, where the interval has a closed form."""
        s_neg = torch.linspace(-1, 1, 100_001, dtype=torch.float64)[None]
        top, bottom = math.exp(1 / tau), math.exp(-1 / tau)
        closed_form = tau * math.log(top - 0.95 * (top - bottom))
        for dtype, error in ((torch.float64, 1e-4), (torch.float32, 2e-3)):
            got = penalty_interval(s_neg.to(dtype), tau).item()
            assert got == pytest.approx(closed_form, abs=error)
            assert got == pytest.approx(lower, abs=error + 5e-4)

    @pytest.mark.parametrize("K", [2, 5, 10, 20, 50, 100])
    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_an_exact_hit_counts(self, K, dtype):
        """At a vast temperature each of K negatives receives 1/K, and all but the m lowest receive 1 - m/K."""
        s_neg = torch.linspace(-1, 1, K, dtype=dtype)[None]
        for m in range(K):
            assert penalty_interval(s_neg, 1e9, share=1 - m / K) == s_neg[0, m]
            assert penalty_interval(s_neg, 1e9, share=1 - (m + 0.9) / K) == s_neg[0, m]

    @law
    @given(negatives, moderate_taus, seeds)
    def test_the_whole_push_reaches_down_to_the_lowest_negative(self, K, tau, seed):
        s_neg = uniform(3, K, seed=seed)
        assert torch.equal(penalty_interval(s_neg, tau, share=1.0), s_neg.amin(dim=1))

    @law
    @given(anchors, negatives, taus, st.floats(1, 100), st.floats(0.01, 1), seeds)
    def test_narrows_as_the_temperature_falls(self, B, K, tau, factor, share, seed):
        s_neg = uniform(B, K, seed=seed)
        assert (penalty_interval(s_neg, tau, share) >= penalty_interval(s_neg, tau * factor, share)).all()


class TestGradientMagnitude:
    @law
    @given(anchors, negatives, taus, seeds)
    def test_is_the_pull_on_the_positive(self, B, K, tau, seed):
        s_pos, s_neg = uniform(B, seed=seed), uniform(B, K, seed=seed + 1)
        pull, _ = loss_gradients(s_pos, s_neg, tau)
        torch.testing.assert_close(gradient_magnitude(s_pos, s_neg, tau), -pull, rtol=1e-9, atol=1e-300)
        P_pos, _ = probabilities(s_pos, s_neg, tau)
        torch.testing.assert_close(gradient_magnitude(s_pos, s_neg, tau) * tau, 1 - P_pos, rtol=0, atol=1e-12)

    def test_of_a_well_matched_anchor_is_small_but_not_0(self):
        got = gradient_magnitude(torch.tensor([1.0]), torch.tensor([[-0.5]]), 0.05).item()
        assert got == pytest.approx(math.exp(-30) / 0.05, rel=1e-5)

    @pytest.mark.parametrize(("tau", "size"), [(0.05, 0.026), (0.07, 1.75), (0.1, 8.46), (0.3, 3.33), (1.0, 1.0)])
    def test_of_a_matched_anchor_among_directions_drawn_evenly_in_128_dimensions(self, tau, size):
        """Neither rising nor falling with tau, which r does not show. Similarities at the quantiles of their law."""
        d, K = 128, 49_999
        quantiles = (torch.arange(K, dtype=torch.float64) + 0.5) / K
        s_neg = torch.from_numpy(2 * stats.beta((d - 1) / 2, (d - 1) / 2).ppf(quantiles.numpy()) - 1)[None]
        got = gradient_magnitude(torch.tensor([0.95], dtype=torch.float64), s_neg, tau).item()
        assert got == pytest.approx(size, rel=0.02)


class TestFeatureGradient:
    @law
    @given(anchors, st.integers(1, 20), st.integers(2, 16), taus, st.booleans(), st.floats(0.1, 10), seeds)
    def test_is_autograd_through_the_normalisation(self, B, K, d, tau, shared, length, seed):
        """The gradient on features h = |h| z is that on z, over |h|."""
        h = (directions(B, d, seed=seed) * length).requires_grad_()
        z_pos = directions(B, d, seed=seed + 1)
        z_neg = directions(K, d, seed=seed + 2) if shared else directions(B, K, d, seed=seed + 2)
        z = normalize(h, dim=1)
        s_neg = (z[:, None] * z_neg).sum(dim=2)
        (expected,) = grad(contrastive_loss((z * z_pos).sum(dim=1), s_neg, tau).sum(), h)
        got = feature_gradient(z.detach(), z_pos, z_neg, tau)
        assert got.shape == (B, d)
        torch.testing.assert_close(got / length, expected, rtol=1e-8, atol=1e-10 / tau)

    @law
    @given(anchors, st.integers(1, 20), st.integers(2, 16), taus, seeds)
    def test_is_tangent_to_the_sphere(self, B, K, d, tau, seed):
        z = directions(B, d, seed=seed)
        gradient = feature_gradient(z, directions(B, d, seed=seed + 1), directions(K, d, seed=seed + 2), tau)
        torch.testing.assert_close((gradient * z).sum(dim=1) * tau, torch.zeros(B, dtype=z.dtype), rtol=0, atol=1e-12)

    @law
    @given(anchors, st.integers(1, 20), moderate_taus, seeds)
    def test_exact_duplicates_exert_no_force(self, B, copies, tau, seed):
        """With duplicates of the anchor as the only negatives, all that is left is the pull along z_pos."""
        z, z_pos = directions(B, 8, seed=seed), directions(B, 8, seed=seed + 1)
        duplicates = z[:, None].expand(B, copies, 8)
        s_pos = (z * z_pos).sum(dim=1, keepdim=True)
        magnitude = gradient_magnitude(s_pos[:, 0], torch.ones(B, copies, dtype=z.dtype), tau)
        pull = -magnitude[:, None] * (z_pos - s_pos * z)
        torch.testing.assert_close(feature_gradient(z, z_pos, duplicates, tau), pull, rtol=0, atol=1e-12 / tau)
        alone = feature_gradient(z, z, duplicates, tau)
        torch.testing.assert_close(alone * tau, torch.zeros_like(alone), rtol=0, atol=1e-12)

    @pytest.mark.parametrize(("tau", "peak"), [(0.07, 0.966), (0.3, 0.861), (1.0, 0.618)])
    def test_the_strongest_force_comes_from_a_near_negative_not_from_the_nearest(self, tau, peak):
        """One negative at angle acos(s), beside many duplicates, which fix the softmax's sum and exert no force."""
        s = torch.linspace(-0.999, 0.9995, 2000, dtype=torch.float64)
        z = torch.tensor([[1.0, 0.0]], dtype=torch.float64).expand(len(s), 2)
        probe = torch.stack([s, (1 - s**2).sqrt()], dim=1)[:, None]
        duplicates = z[:, None].expand(len(s), 2000, 2)
        force = feature_gradient(z, z, torch.cat([probe, duplicates], dim=1), tau).norm(dim=1)
        strongest = s[force.argmax()].item()
        assert strongest == pytest.approx((-tau + math.sqrt(tau**2 + 4)) / 2, abs=2e-3)
        assert strongest == pytest.approx(peak, abs=2.5e-3)
        shape = torch.exp(s / tau) * (1 - s**2).sqrt()
        torch.testing.assert_close(force / force.max(), shape / shape.max(), rtol=2e-3, atol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_and_autocast_compute_in_float32(dtype):
    generator = torch.Generator().manual_seed(0)
    z, z_pos, z_neg = (normalize(torch.randn(n, 8, generator=generator), dim=1).to(dtype) for n in (5, 5, 9))
    s_pos, s_neg = (z.float() * z_pos.float()).sum(dim=1).to(dtype), (z.float() @ z_neg.float().T).to(dtype)
    with torch.autocast("cpu", torch.bfloat16):
        r = relative_penalty(s_neg, 0.1)
        P_pos, _ = probabilities(s_pos, s_neg, 0.1)
        gradient = feature_gradient(z, z_pos, z_neg, 0.1)
    assert r.dtype == P_pos.dtype == gradient.dtype == torch.float32
    assert torch.equal(r, relative_penalty(s_neg.float(), 0.1))
    assert torch.equal(P_pos, probabilities(s_pos.float(), s_neg.float(), 0.1)[0])
    assert torch.equal(gradient, feature_gradient(z.float(), z_pos.float(), z_neg.float(), 0.1))
