"""The losses: against PyTorch, against a loop in plain Python, and at their limits."""

import inspect
import math
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import grad, gradcheck, gradgradcheck
from torch.overrides import TorchFunctionMode

from contrastlab import losses
from contrastlab.hardness import probabilities, relative_penalty
from contrastlab.losses import (
    contrastive_loss,
    hard_contrastive_loss,
    hard_simple_loss,
    hardest,
    simple_loss,
    triplet_loss,
)

law = settings(deadline=None, max_examples=60, derandomize=True)
seeds = st.integers(0, 2**31)
anchors = st.integers(1, 6)
negatives = st.integers(1, 40)
taus = st.floats(-3, 1).map(lambda exponent: 10**exponent)

ALL = {
    "contrastive": lambda s_pos, s_neg: contrastive_loss(s_pos, s_neg, 0.07),
    "simple": lambda s_pos, s_neg: simple_loss(s_pos, s_neg),
    "hard_contrastive": lambda s_pos, s_neg: hard_contrastive_loss(s_pos, s_neg, 0.07, alpha=0.3),
    "hard_simple": lambda s_pos, s_neg: hard_simple_loss(s_pos, s_neg, k=4),
    "triplet": lambda s_pos, s_neg: triplet_loss(s_pos, s_neg),
}


def similarities(B: int, K: int, seed: int = 0, dtype=torch.float64) -> tuple[torch.Tensor, torch.Tensor]:
    """s_pos (B,) and s_neg (B, K), uniform in [-1, 1]."""
    draw = torch.rand(B, 1 + K, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * 2 - 1
    return draw[:, 0].to(dtype), draw[:, 1:].to(dtype)


def with_gradients(loss, s_pos, s_neg):
    s_pos, s_neg = s_pos.clone().requires_grad_(), s_neg.clone().requires_grad_()
    value = loss(s_pos, s_neg)
    return value.detach(), *grad(value.sum(), (s_pos, s_neg))


def cross_entropy(s_pos, s_neg, tau):
    """Eq. 1 as PyTorch computes it: the positive is class 0 of 1 + K."""
    logits = torch.cat([s_pos[:, None], s_neg], dim=1) / tau
    return torch.nn.functional.cross_entropy(logits, torch.zeros(len(s_pos), dtype=torch.long), reduction="none")


def by_hand(s_pos, s_neg, tau, k=None) -> list[float]:
    """Eq. 1 and Eq. 8 in plain Python, one anchor and one negative at a time."""
    values = []
    for positive, row in zip(s_pos.tolist(), s_neg.tolist(), strict=True):
        kept = sorted(row)[-k:] if k else row
        leads = [(s - positive) / tau for s in kept] + [0.0]
        top = max(leads)
        values.append(top + math.log(math.fsum(math.exp(lead - top) for lead in leads)))
    return values


class TestContrastiveLoss:
    @law
    @given(anchors, negatives, taus, seeds)
    def test_is_cross_entropy_with_the_positive_as_the_right_class(self, B, K, tau, seed):
        s_pos, s_neg = similarities(B, K, seed)
        torch.testing.assert_close(
            contrastive_loss(s_pos, s_neg, tau), cross_entropy(s_pos, s_neg, tau), rtol=1e-10, atol=1e-12
        )

    @law
    @given(anchors, negatives, taus, seeds)
    def test_agrees_with_a_loop_in_plain_python(self, B, K, tau, seed):
        s_pos, s_neg = similarities(B, K, seed)
        assert contrastive_loss(s_pos, s_neg, tau).tolist() == pytest.approx(
            by_hand(s_pos, s_neg, tau), rel=1e-10, abs=1e-12
        )

    def test_one_anchor_that_can_be_checked_on_paper(self):
        loss = contrastive_loss(torch.tensor([1.0]), torch.tensor([[0.0, 0.0, 0.0]]), tau=1.0)
        assert loss.item() == pytest.approx(math.log(1 + 3 / math.e), rel=1e-6)

    @pytest.mark.parametrize("tau", [1.0, 0.07, 0.01, 0.005, 0.001])
    @pytest.mark.parametrize("positive", ["hard", "any", "matched"])
    @pytest.mark.parametrize("crowded", [False, True])
    def test_float32_keeps_its_digits_down_to_tau_0_001(self, tau, positive, crowded):
        """Relative error against float64: 2e-6 for the loss, its gradient likewise. Softmax over s / tau has 6e-5."""
        s_pos, s_neg = similarities(128, 300, seed=3, dtype=torch.float32)
        s_pos = {"hard": -1 + 0.005 * (1 + s_pos), "any": s_pos, "matched": 1 - 0.005 * (1 + s_pos)}[positive]
        if crowded:
            s_neg = 1 - 0.0015 * (1 + s_neg)
        got = with_gradients(lambda p, n: contrastive_loss(p, n, tau), s_pos, s_neg)
        exact = with_gradients(lambda p, n: contrastive_loss(p, n, tau), s_pos.double(), s_neg.double())
        far_from_underflow = exact[0] > 1e-9
        assert far_from_underflow.any()
        for value, truth in zip(got, exact, strict=True):
            error = (value - truth)[far_from_underflow].reshape(int(far_from_underflow.sum()), -1).norm(dim=1)
            size = truth[far_from_underflow].reshape(len(error), -1).norm(dim=1)
            assert (error / size).max() < 2e-6

    def test_float32_keeps_the_loss_of_a_well_matched_anchor(self):
        """log(1 + x) in float32 is 0 below x = 6e-8; the loss of a matched anchor is smaller, and not 0."""
        s_pos, s_neg = torch.tensor([1.0]), torch.tensor([[-0.75, -0.875]])
        got = contrastive_loss(s_pos, s_neg, 0.05).double()
        assert 0 < got.item() < 1e-14
        torch.testing.assert_close(got, contrastive_loss(s_pos.double(), s_neg.double(), 0.05), rtol=1e-5, atol=0)

    def test_float64_keeps_the_part_by_which_a_lost_anchor_exceeds_its_lead(self):
        s_pos, s_neg = torch.tensor([-1.0], dtype=torch.float64), torch.tensor([[1.0]], dtype=torch.float64)
        loss, pull, _ = with_gradients(lambda p, n: contrastive_loss(p, n, 0.08), s_pos, s_neg)
        assert loss.item() - 25 == pytest.approx(math.exp(-25), rel=1e-3)
        assert 1 + 0.08 * pull.item() == pytest.approx(math.exp(-25), rel=1e-3)

    @law
    @given(anchors, negatives, taus, seeds)
    def test_gradient_is_the_softmax_of_eq_4(self, B, K, tau, seed):
        s_pos, s_neg = similarities(B, K, seed)
        _, pull, push = with_gradients(lambda p, n: contrastive_loss(p, n, tau), s_pos, s_neg)
        _, P_neg = probabilities(s_pos, s_neg, tau)
        torch.testing.assert_close(pull, -P_neg.sum(dim=1) / tau, rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(push, P_neg / tau, rtol=1e-9, atol=1e-12)

    @pytest.mark.parametrize("tau", [0.07, 0.3, 1.0])
    def test_first_and_second_derivatives_against_finite_differences(self, tau):
        inputs = tuple(s.requires_grad_() for s in similarities(3, 6, seed=5))
        assert gradcheck(lambda p, n: contrastive_loss(p, n, tau), inputs)
        assert gradgradcheck(lambda p, n: contrastive_loss(p, n, tau), inputs, atol=1e-4, rtol=1e-4)

    def test_a_temperature_can_be_learned(self):
        s_pos, s_neg = similarities(4, 9, seed=6)
        tau = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert gradcheck(lambda t: contrastive_loss(s_pos, s_neg, t), tau)

    @law
    @given(anchors, negatives, taus, seeds)
    def test_the_order_of_the_negatives_does_not_matter(self, B, K, tau, seed):
        s_pos, s_neg = similarities(B, K, seed)
        order = torch.randperm(K, generator=torch.Generator().manual_seed(seed))
        for loss in (contrastive_loss, simple_loss):
            torch.testing.assert_close(loss(s_pos, s_neg, tau), loss(s_pos, s_neg[:, order], tau))

    @law
    @given(anchors, negatives, taus, seeds)
    def test_each_anchor_stands_alone(self, B, K, tau, seed):
        s_pos, s_neg = similarities(B, K, seed)
        for loss in (contrastive_loss, simple_loss):
            alone = torch.cat([loss(s_pos[i : i + 1], s_neg[i : i + 1], tau) for i in range(B)])
            torch.testing.assert_close(loss(s_pos, s_neg, tau), alone)


class TestLimits:
    @law
    @given(anchors, negatives, taus, seeds)
    def test_tau_times_loss_is_the_margin_loss_up_to_tau_log_n(self, B, K, tau, seed):
        """max(s_max - s_pos, 0) <= tau L <= the same + tau log N, for every tau: Eq. 6 with its error."""
        s_pos, s_neg = similarities(B, K, seed)
        excess = tau * contrastive_loss(s_pos, s_neg, tau) - (s_neg.amax(dim=1) - s_pos).clamp(min=0)
        assert (excess >= -1e-12).all()
        assert (excess <= tau * math.log(K + 1) + 1e-12).all()

    def test_small_temperature_reaches_the_triplet_loss_of_margin_0(self):
        s_pos = torch.tensor([0.9, 0.2], dtype=torch.float64)
        s_neg = torch.tensor([[0.5, 0.4, -0.3], [0.5, 0.4, -0.3]], dtype=torch.float64)
        scaled = 1e-3 * contrastive_loss(s_pos, s_neg, 1e-3)
        torch.testing.assert_close(scaled, torch.tensor([0.0, 0.3], dtype=torch.float64), rtol=0, atol=1e-12)

    @law
    @given(anchors, negatives, seeds)
    def test_large_temperature_reaches_the_simple_loss(self, B, K, seed):
        """tau (L - log N) -> K/N (mean s_neg - s_pos): Eq. 7, whose lambda is 1/K after rescaling."""
        s_pos, s_neg = similarities(B, K, seed)
        tau, N = 1e4, K + 1
        scaled = tau * (contrastive_loss(s_pos, s_neg, tau) - math.log(N))
        torch.testing.assert_close(scaled, K / N * simple_loss(s_pos, s_neg), rtol=0, atol=1e-4)

    @law
    @given(anchors, negatives, seeds)
    def test_the_next_term_is_the_variance_that_the_simple_loss_lacks(self, B, K, seed):
        s_pos, s_neg = similarities(B, K, seed)
        tau, N = 1e3, K + 1
        everything = torch.cat([s_pos[:, None], s_neg], dim=1)
        rest = contrastive_loss(s_pos, s_neg, tau) - math.log(N) - K / N * simple_loss(s_pos, s_neg) / tau
        variance = everything.var(dim=1, unbiased=False)
        torch.testing.assert_close(2 * tau**2 * rest, variance, rtol=0, atol=2e-3)


class TestSimpleLoss:
    @law
    @given(anchors, negatives, st.floats(0, 5), seeds)
    def test_is_minus_the_positive_plus_the_weighted_mean_of_the_negatives(self, B, K, weight, seed):
        s_pos, s_neg = similarities(B, K, seed)
        expected = [
            weight * math.fsum(row) / K - positive for positive, row in zip(s_pos.tolist(), s_neg.tolist(), strict=True)
        ]
        assert simple_loss(s_pos, s_neg, weight=weight).tolist() == pytest.approx(expected, abs=1e-12)

    def test_pushes_all_negatives_alike_and_ignores_tau(self):
        s_pos, s_neg = similarities(3, 8)
        _, pull, push = with_gradients(lambda p, n: simple_loss(p, n, 0.07), s_pos, s_neg)
        torch.testing.assert_close(pull, torch.full_like(pull, -1))
        torch.testing.assert_close(push, torch.full_like(push, 1 / 8))
        assert torch.equal(simple_loss(s_pos, s_neg, 0.07), simple_loss(s_pos, s_neg))

    def test_cannot_tell_two_antipodal_points_from_a_circle_or_a_sphere(self):
        """It sees negatives only through their mean. Eq. 1 tells the three embeddings apart."""
        n = 2000
        angle = torch.arange(n, dtype=torch.float64) * 2 * torch.pi / n
        half = torch.randn(n // 2, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        half = torch.nn.functional.normalize(half, dim=1)
        poles = torch.tensor([[1.0, 0.0], [-1.0, 0.0]], dtype=torch.float64).repeat(n // 2, 1)
        circle = torch.stack([angle.cos(), angle.sin()], dim=1)
        scores = [_score(z) for z in (poles, circle, torch.cat([half, -half]))]
        assert [simple for simple, _ in scores] == pytest.approx([-1 - 1 / (n - 1)] * 3, abs=1e-9)
        assert [softmax for _, softmax in scores] == pytest.approx([6.91, 6.13, 4.32], abs=0.006)


def _score(z: torch.Tensor) -> tuple[float, float]:
    """Mean simple and contrastive loss (tau = 0.3) of points that are their own positives."""
    n = len(z)
    others = (z @ z.T)[~torch.eye(n, dtype=torch.bool)].reshape(n, n - 1)
    own = torch.ones(n, dtype=z.dtype)
    return simple_loss(own, others).mean().item(), contrastive_loss(own, others, 0.3).mean().item()


class TestHardLosses:
    @law
    @given(anchors, negatives, taus, seeds)
    def test_keeping_every_negative_is_the_plain_loss(self, B, K, tau, seed):
        s_pos, s_neg = similarities(B, K, seed)
        for keep in ({"alpha": 1.0}, {"k": K}):
            torch.testing.assert_close(
                hard_contrastive_loss(s_pos, s_neg, tau, **keep), contrastive_loss(s_pos, s_neg, tau)
            )
            torch.testing.assert_close(hard_simple_loss(s_pos, s_neg, **keep), simple_loss(s_pos, s_neg))

    @law
    @given(anchors, negatives, taus, seeds, st.data())
    def test_agree_with_a_loop_in_plain_python(self, B, K, tau, seed, data):
        k = data.draw(st.integers(1, K))
        s_pos, s_neg = similarities(B, K, seed)
        assert hard_contrastive_loss(s_pos, s_neg, tau, k=k).tolist() == pytest.approx(
            by_hand(s_pos, s_neg, tau, k), rel=1e-10, abs=1e-12
        )
        rows = zip(s_pos.tolist(), s_neg.tolist(), strict=True)
        expected = [math.fsum(sorted(row)[-k:]) / k - positive for positive, row in rows]
        assert hard_simple_loss(s_pos, s_neg, k=k).tolist() == pytest.approx(expected, abs=1e-12)

    @law
    @given(anchors, negatives, taus, seeds)
    def test_fewer_negatives_never_raise_the_loss_nor_lower_their_mean(self, B, K, tau, seed):
        s_pos, s_neg = similarities(B, K, seed)
        contrastive = torch.stack([hard_contrastive_loss(s_pos, s_neg, tau, k=k) for k in range(1, K + 1)])
        simple = torch.stack([hard_simple_loss(s_pos, s_neg, k=k) for k in range(1, K + 1)])
        assert (contrastive.diff(dim=0) >= -1e-12).all()
        assert (contrastive <= contrastive_loss(s_pos, s_neg, tau) + 1e-12).all()
        assert (simple.diff(dim=0) <= 1e-12).all()

    @law
    @given(anchors, st.integers(2, 40), taus, seeds, st.data())
    def test_below_the_quantile_nothing_is_pushed_and_above_it_the_shares_sum_to_1(self, B, K, tau, seed, data):
        k = data.draw(st.integers(1, K - 1))
        s_pos, s_neg = similarities(B, K, seed)
        _, pull, push = with_gradients(lambda p, n: hard_contrastive_loss(p, n, tau, k=k), s_pos, s_neg)
        ranked = s_neg.sort(dim=1, descending=True)
        kept = torch.zeros_like(s_neg, dtype=torch.bool).scatter(1, ranked.indices[:, :k], True)
        assert (push[~kept] == 0).all()
        expected = -pull[:, None] * relative_penalty(ranked.values[:, :k], tau)
        torch.testing.assert_close(push.gather(1, ranked.indices[:, :k]), expected, rtol=1e-9, atol=1e-12)

    def test_hard_simple_loss_pushes_the_kept_alike(self):
        s_pos, s_neg = similarities(5, 20)
        _, _, push = with_gradients(lambda p, n: hard_simple_loss(p, n, k=4), s_pos, s_neg)
        kept = s_neg >= s_neg.topk(4, dim=1).values[:, -1:]
        torch.testing.assert_close(push, kept.double() / 4, rtol=1e-12, atol=0)

    @pytest.mark.parametrize("k", [1, 2, 3, 4])
    def test_of_tied_negatives_exactly_k_are_kept(self, k):
        s_pos = torch.tensor([0.5], dtype=torch.float64)
        s_neg = torch.tensor([[0.2, 0.7, 0.2, 0.2, 0.2, -0.9]], dtype=torch.float64)
        loss, pull, push = with_gradients(lambda p, n: hard_contrastive_loss(p, n, 0.1, k=k), s_pos, s_neg)
        assert loss.item() == pytest.approx(math.log(1 + math.exp(2) + (k - 1) * math.exp(-3)), rel=1e-12)
        assert int((push != 0).sum()) == k
        assert push[0, 5] == 0
        assert push.sum().item() == pytest.approx(-pull.item(), rel=1e-12)

    @pytest.mark.parametrize(
        ("alpha", "K", "k"),
        [
            (0.0819, 50_000, 4095),  # CIFAR-10 and CIFAR-100 in the paper
            (0.0315, 73_257, 2308),  # SVHN there: not the 4095 of its text
            (0.25, 8, 2),
            (0.3, 8, 2),
            (0.32, 8, 3),
            (1e-9, 8, 1),
            (0.999, 8, 8),
            (1.0, 8, 8),
        ],
    )
    def test_alpha_keeps_the_nearest_whole_number_of_negatives_and_at_least_one(self, alpha, K, k):
        _, s_neg = similarities(1, K, seed=1)
        assert hardest(s_neg, alpha=alpha).shape == (1, k)
        assert sorted(hardest(s_neg, alpha=alpha)[0].tolist()) == sorted(s_neg[0].tolist())[-k:]


class TestTripletLoss:
    @law
    @given(anchors, negatives, seeds)
    def test_agrees_with_a_loop_and_is_the_margin_loss_of_pytorch(self, B, K, seed):
        s_pos, s_neg = similarities(B, K, seed)
        rows = list(zip(s_pos.tolist(), s_neg.tolist(), strict=True))
        assert triplet_loss(s_pos, s_neg).tolist() == [max(max(row) - positive, 0.0) for positive, row in rows]
        ranking = torch.nn.functional.margin_ranking_loss(
            s_pos, s_neg.amax(dim=1), torch.ones(B), margin=0.0, reduction="none"
        )
        assert torch.equal(triplet_loss(s_pos, s_neg), ranking)

    def test_pushes_the_nearest_alone_and_a_matched_anchor_not_at_all(self):
        s_pos = torch.tensor([0.9, 0.2], dtype=torch.float64)
        s_neg = torch.tensor([[0.5, 0.4, -0.3], [0.5, 0.4, -0.3]], dtype=torch.float64)
        _, pull, push = with_gradients(lambda p, n: triplet_loss(p, n, 0.07), s_pos, s_neg)
        assert pull.tolist() == [0, -1]
        assert push.tolist() == [[0, 0, 0], [1, 0, 0]]


class _AutocastSeen(TorchFunctionMode):
    """Records, for every operation, whether autocast was on."""

    def __init__(self) -> None:
        super().__init__()
        self.arithmetic: list[tuple[str, bool]] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if getattr(func, "__name__", "") in {"sub", "div", "mul", "logsumexp", "mean", "softplus", "amax", "relu"}:
            self.arithmetic.append((func.__name__, torch.is_autocast_enabled("cpu")))
        return func(*args, **(kwargs or {}))


class TestPrecision:
    def test_every_loss_is_tried_here(self):
        assert set(ALL) == set(losses.LOSSES)
        for name in losses.LOSSES:
            assert list(inspect.signature(getattr(losses, f"{name}_loss")).parameters)[:3] == ["s_pos", "s_neg", "tau"]

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("name", ALL)
    def test_half_inputs_give_what_float32_gives_bit_by_bit(self, name, dtype):
        s_pos, s_neg = similarities(8, 50, seed=7, dtype=dtype)
        loss = ALL[name](s_pos, s_neg)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, ALL[name](s_pos.float(), s_neg.float()))

    @pytest.mark.parametrize("name", ALL)
    def test_float64_stays_float64(self, name):
        assert ALL[name](*similarities(2, 10)).dtype == torch.float64

    @pytest.mark.parametrize("name", ALL)
    def test_autocast_is_left_before_the_arithmetic(self, name):
        s_pos, s_neg = similarities(8, 50, seed=8, dtype=torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16), _AutocastSeen() as seen:
            inside = ALL[name](s_pos, s_neg)
        assert len(seen.arithmetic) >= 2
        assert not any(enabled for _, enabled in seen.arithmetic)
        assert torch.equal(inside, ALL[name](s_pos, s_neg))

    @pytest.mark.parametrize("name", ALL)
    def test_similarities_of_an_autocast_region_get_a_float32_loss_and_a_gradient(self, name):
        z = torch.nn.functional.normalize(torch.randn(6, 32, generator=torch.Generator().manual_seed(9)), dim=1)
        z.requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            s = z @ z.T
            assert s.dtype == torch.bfloat16
            loss = ALL[name](s[:, 1], s[:, 2:].repeat(1, 3))
        assert loss.dtype == torch.float32
        assert torch.equal(loss, ALL[name](s[:, 1].float(), s[:, 2:].repeat(1, 3).float()))
        loss.sum().backward()
        assert z.grad.isfinite().all() and z.grad.abs().sum() > 0
