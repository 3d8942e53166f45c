"""What an embedding looks like: against brute force over all pairs, at known points, and in bounded memory."""

import itertools
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import normalize

from contrastlab import geometry
from contrastlab.geometry import (
    TILE,
    alignment,
    class_gap,
    effective_rank,
    tolerance,
    uniformity,
    uniformity_ceiling,
)

law = settings(deadline=None, max_examples=50, derandomize=True)
seeds = st.integers(0, 2**31)
samples = st.integers(2, 60)
dimensions = st.integers(1, 12)


def gaussian(n: int, d: int, seed: int = 0, dtype=torch.float64) -> torch.Tensor:
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def classes(n: int, C: int, seed: int) -> torch.Tensor:
    """Labels of C classes of random sizes, the first of which has at least two members."""
    labels = torch.randint(C, (n,), generator=torch.Generator().manual_seed(seed)) * 7 - 3
    labels[:2] = labels[0]
    return labels


def uniformity_by_pairs(z: torch.Tensor, t: float = 2.0) -> float:
    return -torch.exp(-t * torch.pdist(normalize(z.double(), dim=1)) ** 2).mean().log().item()


def similarities_by_pairs(z: torch.Tensor, labels: torch.Tensor) -> tuple[list[float], list[float]]:
    """Similarities of the distinct pairs of one class, and of those of two classes."""
    units, same, different = normalize(z.double(), dim=1).numpy(), [], []
    for i, j in itertools.combinations(range(len(z)), 2):
        (same if labels[i] == labels[j] else different).append(float(np.dot(units[i], units[j])))
    return same, different


def simplex(C: int) -> torch.Tensor:
    """C unit vectors, each two at similarity -1 / (C - 1)."""
    return normalize(torch.eye(C, dtype=torch.float64) - 1 / C, dim=1)


def random_rotation(d: int, seed: int = 0) -> torch.Tensor:
    return torch.linalg.qr(gaussian(d, d, seed)).Q


class TestUniformity:
    @law
    @given(samples, dimensions, st.floats(0.1, 5), seeds)
    def test_agrees_with_all_pairs(self, n, d, t, seed):
        z = gaussian(n, d, seed)
        assert uniformity(z, t) == pytest.approx(uniformity_by_pairs(z, t), rel=1e-9, abs=1e-9)

    @pytest.mark.parametrize("n", [2, 3, TILE - 1, TILE, TILE + 1, 2 * TILE, 2 * TILE + 5])
    @pytest.mark.parametrize(("dtype", "error"), [(torch.float64, 1e-10), (torch.float32, 1e-6)])
    def test_agrees_with_all_pairs_where_tiles_meet(self, n, dtype, error):
        z = gaussian(n, 6, seed=n, dtype=dtype)
        assert uniformity(z) == pytest.approx(uniformity_by_pairs(z), abs=error)

    @pytest.mark.parametrize("tile", [1, 2, 7, 29, 30, 31])
    def test_does_not_depend_on_the_tile(self, tile, monkeypatch):
        z = gaussian(30, 5)
        monkeypatch.setattr(geometry, "TILE", tile)
        assert uniformity(z) == pytest.approx(uniformity_by_pairs(z), abs=1e-10)

    @law
    @given(samples, dimensions, seeds)
    def test_lies_between_0_and_4_t_and_ignores_lengths_and_rotations(self, n, d, seed):
        z = gaussian(n, d, seed)
        value = uniformity(z)
        assert 0 <= value <= 8 + 1e-9
        lengths = torch.rand(n, 1, generator=torch.Generator().manual_seed(seed), dtype=z.dtype) * 100 + 1e-3
        assert uniformity(z * lengths @ random_rotation(d, seed)) == pytest.approx(value, abs=1e-9)

    def test_of_one_point_is_0_and_never_below(self):
        for seed in range(5):
            lengths = gaussian(50, 1, seed + 5, torch.float32).abs() + 0.1
            value = uniformity(gaussian(1, 128, seed, torch.float32) * lengths)
            assert 0 <= value < 1e-5
            assert math.copysign(1, value) == 1

    def test_of_two_antipodal_points(self):
        """Each pair is either at distance 0 or at 2: with many samples half of the pairs, so log 2 for large t."""
        poles = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        assert uniformity(poles) == pytest.approx(8, abs=1e-6)
        n = 3000
        same = (n / 2 - 1) / (n - 1)
        assert uniformity(poles.repeat(n // 2, 1)) == pytest.approx(
            -math.log(same + (1 - same) * math.exp(-8)), abs=1e-6
        )
        assert uniformity(poles.repeat(n // 2, 1)) == pytest.approx(0.693, abs=1e-3)

    @pytest.mark.parametrize("d", [2, 3, 10, 128])
    def test_of_points_spread_evenly_reaches_the_ceiling(self, d):
        assert uniformity(gaussian(4000, d, dtype=torch.float32)) == pytest.approx(uniformity_ceiling(d), abs=0.01)

    def test_of_a_regular_polygon_approaches_the_ceiling_of_the_circle(self):
        angle = torch.arange(2000, dtype=torch.float64) * 2 * math.pi / 2000
        circle = torch.stack([angle.cos(), angle.sin()], dim=1)
        assert uniformity(circle) == pytest.approx(uniformity_ceiling(2), abs=3e-3)


class TestUniformityCeiling:
    @pytest.mark.parametrize(("d", "ceiling"), [(2, 1.575), (3, 2.080), (128, 3.9375)])
    def test_at_the_values_the_course_quotes(self, d, ceiling):
        assert uniformity_ceiling(d) == pytest.approx(ceiling, abs=5e-4)

    @law
    @given(st.integers(2, 5000), st.floats(0.01, 50))
    def test_agrees_with_the_power_series(self, d, t):
        """The mean of exp(2 t s) over the sphere is the sum of t^2m / (m! (d/2)_m)."""
        term, total, m = 1.0, 1.0, 0
        while term > 1e-18 * total:
            term *= t**2 / ((m + 1) * (d / 2 + m))
            total += term
            m += 1
        assert uniformity_ceiling(d, t) == pytest.approx(2 * t - math.log(total), rel=1e-9, abs=1e-9)

    @law
    @given(st.integers(2, 5000), st.floats(0.01, 50))
    def test_rises_with_the_dimension_towards_2_t(self, d, t):
        assert 0 < uniformity_ceiling(d, t) < uniformity_ceiling(d + 1, t) < 2 * t

    @pytest.mark.parametrize(("d", "t"), [(1, 2.0), (0, 2.0), (128, 0.0), (128, -1.0), (128, math.nan), (128, 1e3)])
    def test_refuses_what_is_no_sphere_or_no_width(self, d, t):
        with pytest.raises(ValueError, match=rf"d >= 2 dimensions and a width t .*got d = {d}, t = "):
            uniformity_ceiling(d, t)


class TestTolerance:
    @law
    @given(samples, dimensions, st.integers(1, 8), seeds)
    def test_agrees_with_all_pairs_of_one_class(self, n, d, C, seed):
        z, labels = gaussian(n, d, seed), classes(n, C, seed)
        same, _ = similarities_by_pairs(z, labels)
        assert tolerance(z, labels) == pytest.approx(math.fsum(same) / len(same), abs=1e-9)
        assert tolerance(z.float(), labels) == pytest.approx(math.fsum(same) / len(same), abs=1e-6)

    @law
    @given(samples, dimensions, st.integers(1, 8), st.booleans(), seeds)
    def test_lies_between_minus_1_and_1(self, n, d, C, collapsed, seed):
        z = gaussian(1, d, seed).expand(n, d) if collapsed else gaussian(n, d, seed)
        value = tolerance(z, classes(n, C, seed))
        assert -1 - 1e-12 <= value <= 1 + 1e-12
        assert not collapsed or value == pytest.approx(1, abs=1e-12)

    def test_the_formula_as_printed_could_not_exceed_one_over_the_number_of_classes(self):
        """Gap G1: over all pairs even full collapse scores 1/C; the paper's tables hold .372 for ten classes."""
        C, size = 10, 20
        labels = torch.arange(C).repeat_interleave(size)
        for spread in (0.0, 0.05, 0.5):
            z = gaussian(C * size, 16) * spread + torch.ones(16, dtype=torch.float64)
            z = normalize(z, dim=1)
            as_printed = ((z @ z.T) * (labels[:, None] == labels)).mean().item()
            assert as_printed <= 1 / C + 1e-12
            assert tolerance(z, labels) > 0.372
        assert tolerance(torch.ones(C * size, 16), labels) == pytest.approx(1)

    def test_labels_are_names_not_numbers(self):
        z, labels = gaussian(40, 5), classes(40, 4, 0)
        renamed = torch.tensor([5, -5, 1000, 0])[labels.unique(return_inverse=True)[1]]
        assert tolerance(z, renamed) == pytest.approx(tolerance(z, labels), abs=1e-12)


class TestClassGap:
    @law
    @given(st.integers(3, 60), dimensions, st.integers(1, 8), seeds)
    def test_agrees_with_all_pairs(self, n, d, C, seed):
        z, labels = gaussian(n, d, seed), classes(n, C, seed)
        labels[-1] = 999  # at least two classes
        same, different = similarities_by_pairs(z, labels)
        expected = math.fsum(same) / len(same) - math.fsum(different) / len(different)
        assert class_gap(z, labels) == pytest.approx(expected, abs=1e-9)
        assert -2 <= class_gap(z, labels) <= 2

    def test_is_0_under_full_collapse_where_tolerance_is_1(self):
        z, labels = torch.ones(30, 8), torch.arange(30) % 3
        assert tolerance(z, labels) == pytest.approx(1, abs=1e-6)
        assert class_gap(z, labels) == pytest.approx(0, abs=1e-6)

    def test_of_a_simplex_is_its_largest_for_that_number_of_classes(self):
        z, labels = simplex(5).repeat(6, 1), torch.arange(5).repeat(6)
        assert class_gap(z, labels) == pytest.approx(1 + 1 / 4, abs=1e-12)

    def test_can_fall_below_minus_1(self):
        pair = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
        singles = torch.tensor([[0.0, 1.0]]).expand(98, 2)
        labels = torch.cat([torch.zeros(2), torch.arange(1, 99)]).long()
        assert class_gap(torch.cat([pair, singles]), labels) == pytest.approx(-1 - 98 * 97 / (100 * 99 - 2), abs=1e-6)

    def test_of_one_class_alone_is_refused(self):
        with pytest.raises(ValueError, match=r"all labels are alike\. Pass samples of at least two classes"):
            class_gap(gaussian(4, 3), torch.zeros(4, dtype=torch.long))


class TestTheDilemmaIsNotGeometric:
    """Gap G5: a simplex of collapsed classes is fully tolerant and as uniform as the paper's trained models."""

    @pytest.mark.parametrize(("C", "size", "limit"), [(10, 200, 2.202), (100, 50, 3.597)])
    def test_a_simplex_of_classes_has_both(self, C, size, limit):
        z, labels = simplex(C).repeat(size, 1), torch.arange(C).repeat(size)
        assert tolerance(z, labels) == pytest.approx(1, abs=1e-9)
        apart = math.exp(-4 * (1 + 1 / (C - 1)))
        same = (size - 1) / (C * size - 1)
        value = uniformity(z)
        assert value == pytest.approx(-math.log(same + (1 - same) * apart), abs=1e-9)
        # The finite sample has slightly fewer pairs of one class than 1/C; with that put right, the limit.
        of_many = math.exp(-value) + (1 / C - same) * (1 - apart)
        assert -math.log(of_many) == pytest.approx(limit, abs=5e-4)

    @law
    @given(st.integers(3, 60), dimensions, st.integers(1, 6), seeds)
    def test_tolerance_and_gap_bound_the_uniformity(self, n, d, C, seed):
        """Jensen: -L <= -log[p exp(-4 (1 - T)) + (1 - p) exp(-4 (1 - D))], p the share of pairs of one class."""
        z, labels = gaussian(n, d, seed), classes(n, C, seed)
        labels[-1] = 999
        T, gap = tolerance(z, labels), class_gap(z, labels)
        p = ((labels[:, None] == labels).sum().item() - n) / (n * (n - 1))
        bound = -math.log(p * math.exp(-4 * (1 - T)) + (1 - p) * math.exp(-4 * (1 - T + gap)))
        assert uniformity(z) <= bound + 1e-9


class TestAlignment:
    @law
    @given(samples, dimensions, st.floats(0.5, 4), seeds)
    def test_agrees_with_a_loop(self, n, d, alpha, seed):
        z0, z1 = gaussian(n, d, seed), gaussian(n, d, seed + 1)
        pairs = zip(normalize(z0, dim=1).tolist(), normalize(z1, dim=1).tolist(), strict=True)
        expected = math.fsum(math.dist(x, y) ** alpha for x, y in pairs) / n
        assert alignment(z0, z1, alpha) == pytest.approx(expected, rel=1e-9, abs=1e-12)
        assert alignment(z1, z0, alpha) == pytest.approx(expected, rel=1e-9, abs=1e-12)

    @law
    @given(samples, dimensions, seeds)
    def test_squared_is_2_minus_twice_the_mean_positive_similarity(self, n, d, seed):
        z0, z1 = normalize(gaussian(n, d, seed), dim=1), normalize(gaussian(n, d, seed + 1), dim=1)
        assert alignment(z0, z1) == pytest.approx(2 - 2 * (z0 * z1).sum(dim=1).mean().item(), abs=1e-9)

    @pytest.mark.parametrize("alpha", [1.0, 2.0, 3.0])
    def test_goes_from_0_for_equal_views_to_2_to_the_alpha_for_opposite_ones(self, alpha):
        z = gaussian(20, 8)
        assert alignment(z, 3 * z, alpha) == pytest.approx(0, abs=1e-12)
        assert alignment(z, -z, alpha) == pytest.approx(2**alpha, rel=1e-12)


class TestEffectiveRank:
    @law
    @given(st.integers(3, 60), st.integers(2, 12), seeds)
    def test_agrees_with_the_singular_values(self, n, d, seed):
        z = normalize(gaussian(n, d, seed), dim=1).numpy()
        singular = np.linalg.svd(z - z.mean(axis=0), compute_uv=False)
        share = singular[singular > 1e-12 * singular[0]] / singular.sum()
        expected = math.exp(-math.fsum(share * np.log(share)))
        got = effective_rank(torch.from_numpy(z))
        assert got == pytest.approx(expected, abs=1e-5)
        assert 1 - 1e-9 <= got <= min(n - 1, d) + 1e-5

    @pytest.mark.parametrize("k", [1, 2, 5, 32])
    def test_of_k_directions_used_alike_is_k(self, k):
        axes = torch.eye(k, 32, dtype=torch.float64)
        z = torch.cat([axes, -axes]).repeat(3, 1) @ random_rotation(32)
        assert effective_rank(z) == pytest.approx(k, abs=1e-4)
        assert effective_rank(z.float()) == pytest.approx(k, abs=2e-3)

    def test_of_a_simplex_of_classes_is_one_less_than_their_number(self):
        assert effective_rank(simplex(10).repeat(7, 1)) == pytest.approx(9, abs=1e-4)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    @pytest.mark.parametrize("n", [2, 500])
    def test_of_one_point_is_0_whatever_the_lengths(self, n, dtype):
        z = gaussian(1, 128, dtype=dtype) * (gaussian(n, 1, seed=1, dtype=dtype).abs() + 0.1)
        assert effective_rank(z) == 0

    @law
    @given(st.integers(3, 60), st.integers(2, 12), seeds)
    def test_ignores_rotations_lengths_and_copies(self, n, d, seed):
        z = gaussian(n, d, seed)
        value = effective_rank(z)
        assert effective_rank(z @ random_rotation(d, seed)) == pytest.approx(value, abs=1e-5)
        assert effective_rank(torch.cat([z, 7 * z])) == pytest.approx(value, abs=1e-5)


class TestEveryMeasure:
    MEASURES = (
        ("uniformity", uniformity),
        ("tolerance", lambda z: tolerance(z, torch.arange(len(z)) % 3)),
        ("class_gap", lambda z: class_gap(z, torch.arange(len(z)) % 3)),
        ("alignment", lambda z: alignment(z, z.flip(0))),
        ("effective_rank", effective_rank),
    )
    each = pytest.mark.parametrize("measure", [m for _, m in MEASURES], ids=[name for name, _ in MEASURES])

    @each
    @pytest.mark.parametrize("length", [1e-40, 1e-30, 1e-13, 1e19, 1e38])
    def test_ignores_lengths_out_to_the_ends_of_float32(self, measure, length):
        z = normalize(gaussian(30, 8), dim=1)
        scaled = (z * length).float()
        assert scaled.isfinite().all()
        assert measure(scaled) == pytest.approx(measure(z), abs=1e-4 if length < 1e-38 else 1e-6)

    @each
    def test_takes_half_precision_as_exact_values_of_float32(self, measure):
        z = gaussian(30, 8).half()
        assert measure(z) == measure(z.float())

    @each
    def test_leaves_its_input_alone_and_returns_a_plain_number(self, measure):
        z = gaussian(30, 8).requires_grad_()
        before = z.detach().clone()
        assert type(measure(z)) is float
        assert torch.equal(z, before)


PEAK = """
import torch
from contrastlab import geometry

def peak():  # MiB
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

torch.set_num_threads(1)
for n in (100, 50_000):
    z = torch.randn(n, 128)
    labels = torch.arange(n) % 10
    before = peak()
    geometry.uniformity(z)
    geometry.tolerance(z, labels)
    geometry.class_gap(z, labels)
    geometry.alignment(z, z.flip(0))
    geometry.effective_rank(z)
print(peak() - before)
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_50_000_samples_never_become_a_matrix_of_their_pairs():
    """All pairs in float32 are 9.3 GiB, as booleans 2.3 GiB; a few copies of z (24 MiB) in float64 are well below."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    assert float(done.stdout) < 400
