"""Bad input: every message names what was given and what was expected, wherever the input enters."""

import math

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from contrastlab import checks, geometry, hardness, losses, names

GOOD_POS, GOOD_NEG = torch.tensor([0.9, 0.1]), torch.tensor([[0.5, 0.2, 0.0], [0.3, -0.1, 0.4]])
Z = torch.eye(4)[:3]

TAKE_TAU = {
    "contrastive_loss": lambda tau: losses.contrastive_loss(GOOD_POS, GOOD_NEG, tau),
    "hard_contrastive_loss": lambda tau: losses.hard_contrastive_loss(GOOD_POS, GOOD_NEG, tau, k=2),
    "probabilities": lambda tau: hardness.probabilities(GOOD_POS, GOOD_NEG, tau),
    "relative_penalty": lambda tau: hardness.relative_penalty(GOOD_NEG, tau),
    "penalty_entropy": lambda tau: hardness.penalty_entropy(GOOD_NEG, tau),
    "penalty_entropy_slope": lambda tau: hardness.penalty_entropy_slope(GOOD_NEG, tau),
    "effective_negatives": lambda tau: hardness.effective_negatives(GOOD_NEG, tau),
    "penalty_interval": lambda tau: hardness.penalty_interval(GOOD_NEG, tau),
    "gradient_magnitude": lambda tau: hardness.gradient_magnitude(GOOD_POS, GOOD_NEG, tau),
    "feature_gradient": lambda tau: hardness.feature_gradient(Z[:1], Z[1:2], Z[1:], tau),
}
TAKE_BOTH = {
    "contrastive_loss": lambda p, n: losses.contrastive_loss(p, n, 0.1),
    "simple_loss": lambda p, n: losses.simple_loss(p, n),
    "hard_contrastive_loss": lambda p, n: losses.hard_contrastive_loss(p, n, 0.1, alpha=1.0),
    "hard_simple_loss": lambda p, n: losses.hard_simple_loss(p, n, alpha=1.0),
    "probabilities": lambda p, n: hardness.probabilities(p, n, 0.1),
    "gradient_magnitude": lambda p, n: hardness.gradient_magnitude(p, n, 0.1),
}
TAKE_NEGATIVES = {
    "hardest": lambda n: losses.hardest(n, k=1),
    "relative_penalty": lambda n: hardness.relative_penalty(n, 0.1),
    "penalty_entropy": lambda n: hardness.penalty_entropy(n, 0.1),
    "penalty_entropy_slope": lambda n: hardness.penalty_entropy_slope(n, 0.1),
    "effective_negatives": lambda n: hardness.effective_negatives(n, 0.1),
    "penalty_interval": lambda n: hardness.penalty_interval(n, 0.1),
}
TAKE_EMBEDDINGS = {
    "uniformity": geometry.uniformity,
    "tolerance": lambda z: geometry.tolerance(z, torch.zeros(len(z), dtype=torch.long)),
    "class_gap": lambda z: geometry.class_gap(z, torch.arange(len(z)) % 2),
    "alignment": lambda z: geometry.alignment(z, z),
    "effective_rank": geometry.effective_rank,
}


def with_value(x: torch.Tensor, value: float) -> torch.Tensor:
    """A copy of x whose last entry is the value."""
    x = x.clone()
    x.view(-1)[-1] = value
    return x


class TestTemperature:
    @pytest.mark.parametrize("name", TAKE_TAU)
    @pytest.mark.parametrize(
        ("tau", "shown"), [(0, "0"), (-0.1, "-0.1"), (math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf")]
    )
    def test_must_be_a_finite_number_above_0(self, name, tau, shown):
        for given in (tau, torch.tensor(float(tau))):
            with pytest.raises(ValueError) as raised:
                TAKE_TAU[name](given)
            assert str(raised.value) == (
                f"temperature must be a finite number > 0, got tau = {shown}. Try 0.07 to 1.0."
            )

    @pytest.mark.parametrize("tau", [1e-3, 0.07, 1, 1e4])
    def test_of_any_other_size_passes(self, tau):
        for function in TAKE_TAU.values():
            function(tau)

    def test_may_be_a_parameter(self):
        checks.check_temperature(torch.nn.Parameter(torch.tensor(0.07)))


class TestSimilarities:
    @pytest.mark.parametrize("name", TAKE_BOTH)
    @pytest.mark.parametrize(
        ("p", "n"),
        [
            (torch.zeros(2), torch.zeros(3, 4)),  # another number of anchors
            (torch.zeros(2, 1), torch.zeros(2, 4)),  # a column instead of a vector
            (torch.tensor(0.0), torch.zeros(1, 4)),
        ],
    )
    def test_must_be_one_positive_a_row_of_negatives(self, name, p, n):
        with pytest.raises(ValueError) as raised:
            TAKE_BOTH[name](p, n)
        assert str(raised.value) == (
            "expected s_pos of shape (B,) and s_neg of shape (B, K) with K >= 1, "
            f"got {tuple(p.shape)} and {tuple(n.shape)}. One row of negatives belongs to one positive."
        )

    @pytest.mark.parametrize("shape", [(4,), (2, 0), (2, 3, 4)])
    def test_must_have_a_row_of_at_least_one_negative_an_anchor(self, shape):
        n = torch.zeros(shape)
        for name, function in TAKE_NEGATIVES.items():
            with pytest.raises(ValueError) as raised:
                function(n)
            assert str(raised.value) == (
                f"expected s_neg of shape (B, K) with K >= 1, got {shape}. "
                "For a single anchor write s_neg[None, :]."
            ), name
        for function in TAKE_BOTH.values():
            with pytest.raises(ValueError, match=r"s_neg of shape \(B, K\) with K >= 1, got"):
                function(torch.zeros(2), n)

    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_must_be_finite(self, value):
        where = "holds 1 value(s) that are NaN or infinite out of {}. Look for a learning rate that is too high"
        for function in TAKE_BOTH.values():
            with pytest.raises(ValueError) as raised:
                function(with_value(GOOD_POS, value), GOOD_NEG)
            assert str(raised.value).startswith("s_pos " + where.format(2))
            with pytest.raises(ValueError) as raised:
                function(GOOD_POS, with_value(GOOD_NEG, value))
            assert str(raised.value).startswith("s_neg " + where.format(6))
        for function in TAKE_NEGATIVES.values():
            with pytest.raises(ValueError) as raised:
                function(with_value(GOOD_NEG, value))
            assert str(raised.value).startswith("s_neg " + where.format(6))


class TestHardNegatives:
    functions = pytest.mark.parametrize(
        "hard",
        [
            lambda **keep: losses.hard_contrastive_loss(GOOD_POS, GOOD_NEG, 0.1, **keep),
            lambda **keep: losses.hard_simple_loss(GOOD_POS, GOOD_NEG, **keep),
            lambda **keep: losses.hardest(GOOD_NEG, **keep),
        ],
        ids=["hard_contrastive_loss", "hard_simple_loss", "hardest"],
    )

    @functions
    @pytest.mark.parametrize("alpha", [0.0, -0.1, 1.001, 5.0, math.nan, math.inf])
    def test_alpha_is_a_share(self, hard, alpha):
        with pytest.raises(ValueError) as raised:
            hard(alpha=alpha)
        assert str(raised.value) == (
            f"alpha is the share of negatives to keep and must be in (0, 1], got {alpha:g}"
        )

    @functions
    @pytest.mark.parametrize("k", [0, -1, 4, 4095])
    def test_k_cannot_pass_the_number_of_negatives(self, hard, k):
        with pytest.raises(ValueError) as raised:
            hard(k=k)
        assert str(raised.value) == f"cannot keep the k = {k} hardest of 3 negatives; choose k from 1 to 3"

    @functions
    @pytest.mark.parametrize("keep", [{}, {"alpha": 0.5, "k": 2}])
    def test_exactly_one_of_both_is_needed(self, hard, keep):
        with pytest.raises(ValueError, match=r"give either alpha \(a share, e\.g\. 0\.08\) or k \(a number\)"):
            hard(**keep)


@pytest.mark.parametrize("share", [0.0, -0.5, 1.01, math.nan])
def test_the_penalty_interval_takes_a_share_of_the_push(share):
    with pytest.raises(ValueError, match=rf"share is a part of the whole push and must be in \(0, 1\], got {share:g}"):
        hardness.penalty_interval(GOOD_NEG, 0.1, share)


class TestEmbeddings:
    each = pytest.mark.parametrize("measure", TAKE_EMBEDDINGS.values(), ids=list(TAKE_EMBEDDINGS))

    @each
    def test_that_are_large_but_finite_pass(self, measure):
        """Their sum overflows in their own precision, which is not their fault."""
        measure(torch.full((4, 3), 60_000.0, dtype=torch.float16))
        measure(torch.full((4, 3), 3e38))

    @each
    def test_whose_infinities_would_cancel_are_found(self, measure):
        z = torch.ones(4, 3)
        z[1, 0], z[2, 1] = math.inf, -math.inf
        with pytest.raises(ValueError, match=r"holds 2 value\(s\) that are NaN or infinite out of 12"):
            measure(z)

    @each
    @pytest.mark.parametrize("shape", [(4,), (4, 2, 2)])
    def test_are_one_a_row(self, measure, shape):
        with pytest.raises(ValueError, match=r"expected z0? of shape \(n, d\), one embedding a row, got \(4,"):
            measure(torch.ones(shape))

    @each
    @pytest.mark.parametrize("n", [0, 1])
    def test_are_at_least_two(self, measure, n):
        with pytest.raises(ValueError, match=rf"z0? holds {n} sample\(s\), but pairs need at least two\. Pass a "):
            measure(torch.ones(n, 3))

    @each
    @pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
    def test_are_finite(self, measure, value):
        with pytest.raises(ValueError, match=r"z0? holds 1 value\(s\) that are NaN or infinite out of 12\. Look for"):
            measure(with_value(torch.ones(4, 3), value))

    @each
    def test_have_a_direction(self, measure):
        z = torch.ones(4, 3)
        z[1:3] = 0
        with pytest.raises(ValueError, match=r"z0? holds 2 zero vector\(s\), which have no direction and so no cosine"):
            measure(z)

    def test_are_named_as_the_caller_names_them(self):
        with pytest.raises(ValueError, match=r"^features holds 1 sample\(s\)"):
            checks.check_embeddings(torch.ones(1, 3), "features")

    @each
    def test_with_a_direction_pass(self, measure):
        measure(torch.eye(4))


class TestViews:
    @pytest.mark.parametrize("check", [checks.check_views, geometry.alignment])
    def test_have_the_same_length(self, check):
        with pytest.raises(ValueError) as raised:
            check(torch.ones(4, 3), torch.ones(5, 3))
        assert str(raised.value) == (
            "the two views must have the same shape, got (4, 3) and (5, 3). "
            "Row i of both must come from the same image."
        )

    @pytest.mark.parametrize("bad", [torch.ones(1, 3), torch.full((4, 3), math.nan), torch.zeros(4, 3)], ids="1n0")
    def test_are_both_checked(self, bad):
        good = torch.ones(bad.shape)
        with pytest.raises(ValueError, match=r"^z0 holds"):
            checks.check_views(bad, good)
        if len(bad) > 1:
            with pytest.raises(ValueError, match=r"^z1 holds"):
                checks.check_views(good, bad)


class TestLabels:
    @pytest.mark.parametrize("measure", [geometry.tolerance, geometry.class_gap])
    @pytest.mark.parametrize("shape", [(2,), (4,), (3, 1), ()])
    def test_are_one_a_row(self, measure, shape):
        with pytest.raises(ValueError) as raised:
            measure(Z, torch.zeros(shape, dtype=torch.long))
        assert str(raised.value) == f"expected one label a row: 3 embeddings, but labels of shape {shape}"

    @pytest.mark.parametrize("measure", [geometry.tolerance, geometry.class_gap])
    def test_share_a_class_somewhere(self, measure):
        with pytest.raises(ValueError, match="no two samples share a label, so there is no pair of one class"):
            measure(Z, torch.arange(3))


class TestNames:
    KNOWN = ("contrastive", "simple", "hard_contrastive", "hard_simple")

    def test_that_are_known_pass(self):
        for name in self.KNOWN:
            names.one_of(name, self.KNOWN, "loss")

    @pytest.mark.parametrize(
        ("given", "near"), [("contrstive", "contrastive"), ("hardsimple", "hard_simple"), ("Simple", "simple")]
    )
    def test_nearly_known_get_the_near_match(self, given, near):
        with pytest.raises(ValueError) as raised:
            names.one_of(given, self.KNOWN, "loss")
        assert str(raised.value) == (
            f"unknown loss {given!r}. Did you mean {near!r}? "
            "Known: contrastive, simple, hard_contrastive, hard_simple."
        )

    def test_far_from_any_get_the_list_alone(self):
        with pytest.raises(ValueError) as raised:
            names.one_of("xyz", self.KNOWN, "profile")
        assert str(raised.value) == "unknown profile 'xyz'. Known: contrastive, simple, hard_contrastive, hard_simple."

    def test_may_come_from_an_iterator_and_need_not_be_text(self):
        with pytest.raises(ValueError, match=r"^unknown split 3\. Known: train, test\.$"):
            names.one_of(3, iter(["train", "test"]), "split")

    def test_say_so_where_none_is_known(self):
        with pytest.raises(names.UnknownName, match=r"^unknown profile 'laptop'\. Known: none\.$"):
            names.one_of("laptop", [], "profile")


def test_fake_tensors_have_shapes_but_no_values_and_are_checked_for_their_shapes_alone():
    with FakeTensorMode():
        z, s_pos, s_neg = torch.ones(4, 3), torch.ones(4), torch.ones(4, 9)
        checks.check_views(z, z)
        assert losses.contrastive_loss(s_pos, s_neg, 0.1).shape == (4,)
        assert losses.hard_simple_loss(s_pos, s_neg, k=2).shape == (4,)
        with pytest.raises(ValueError, match="expected s_pos of shape"):
            losses.contrastive_loss(s_pos, torch.ones(3, 9), 0.1)
