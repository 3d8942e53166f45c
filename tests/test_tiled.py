"""The tiled loss: against the plain one in float64, in any tiles, and in memory that the plain one exceeds by far."""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.autograd import grad, gradcheck
from torch.nn.functional import normalize
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from contrastlab import tiled
from contrastlab.bench import memory
from contrastlab.losses import contrastive_loss
from contrastlab.negatives import in_batch
from contrastlab.tiled import GENTLE, TILE, tiled_contrastive_loss

law = settings(deadline=None, max_examples=50, derandomize=True)
images = st.integers(2, 40)
dimensions = st.integers(2, 64)
taus = st.floats(-3, 1).map(lambda exponent: 10**exponent)
tiles = st.sampled_from([1, 2, 3, 7, 16, 39, 40, TILE])
resemblances = st.sampled_from([0.0, 0.5, 0.9])
seeds = st.integers(0, 2**31)
TAUS = [0.001, 0.003, 0.01, GENTLE * 0.999, GENTLE, 0.07, 1.0, 10.0]


def views(n: int, d: int, seed: int = 0, *, alike: float = 0.5, dtype=torch.float64) -> tuple[Tensor, Tensor]:
    """Features (n, d) of two views of various lengths, whose directions share the part `alike`."""
    generator = torch.Generator().manual_seed(seed)
    image, z0, z1 = torch.randn(3, n, d, generator=generator, dtype=torch.float64)
    length = torch.rand(2, n, 1, generator=generator, dtype=torch.float64) * 10 + 0.1
    z0, z1 = length * normalize(alike * image + (1 - alike) * torch.stack([z0, z1]), dim=2)
    return z0.to(dtype), z1.to(dtype)


def own_taus(n: int, seed: int = 0, low: float = -2.0) -> Tensor:
    return 10 ** (torch.rand(n, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) * -low + low)


def plain(z0: Tensor, z1: Tensor, tau: float | Tensor) -> Tensor:
    """What the tiled loss must equal: (2N,). A tensor tau is (), (N,) or (2N,)."""
    s_pos, s_neg = in_batch(normalize(z0, dim=1), normalize(z1, dim=1))
    if not isinstance(tau, Tensor) or tau.ndim == 0:
        return contrastive_loss(s_pos, s_neg, tau)
    tau = tau.repeat(len(s_pos) // len(tau))
    return contrastive_loss(s_pos / tau, s_neg / tau[:, None], 1.0)


def with_gradients(loss, *inputs: Tensor) -> list[Tensor]:
    """The loss and its gradients with respect to all inputs, in float64."""
    inputs = [x.detach().clone(memory_format=torch.preserve_format).requires_grad_() for x in inputs]
    value = loss(*inputs)
    return [x.double() for x in (value.detach(), *grad(value.sum(), inputs))]


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def features(gradients: list[Tensor]) -> Tensor:
    """The gradients of both views as one."""
    return torch.cat(gradients[1:3])


def both_ways(z0: Tensor, z1: Tensor, tau: float | Tensor, tile: int = TILE) -> tuple[list[Tensor], list[Tensor]]:
    """Mean loss and gradients, also of a tensor tau: the tiled ones of these inputs, the plain ones in float64."""
    inputs = [z0, z1, tau] if isinstance(tau, Tensor) else [z0, z1]
    got = with_gradients(lambda z0, z1, tau=tau: tiled_contrastive_loss(z0, z1, tau, tile=tile), *inputs)
    return got, with_gradients(lambda z0, z1, tau=tau: plain(z0, z1, tau).mean(), *(x.double() for x in inputs))


def assert_right(got: list[Tensor], expected: list[Tensor]) -> None:
    """Loss, gradient of the features and that of tau, if it is there, are within 1e-5."""
    if expected[0] < 1e-30:  # all matched: float32 has no smaller numbers
        assert got[0] < 1e-29
        return
    assert relative_error(got[0], expected[0]) < 1e-5
    assert relative_error(features(got), features(expected)) < 1e-5
    for x, y in zip(got[3:], expected[3:], strict=True):
        assert relative_error(x, y) < 1e-5


def plain_of(chosen: Tensor, z: Tensor, tau: float | Tensor) -> Tensor:
    """The plain losses of the chosen of 2N views z (2N, d), from their similarities to all alone: (k,)."""
    z = normalize(z, dim=1)
    s = z[chosen] @ z.T  # (k, d) @ (d, 2N) -> (k, 2N)
    anchor, positive = chosen[:, None], ((chosen + len(z) // 2) % len(z))[:, None]
    view = torch.arange(len(z))
    s_neg = s[(view != anchor) & (view != positive)].view(len(s), -1)
    own = tau.double()[anchor] if isinstance(tau, Tensor) else tau
    return contrastive_loss((s.gather(1, positive) / own)[:, 0], s_neg / own, 1.0)


class TestEqualsThePlainLoss:
    @law
    @given(images, dimensions, taus, tiles, resemblances, seeds)
    def test_in_float64_for_every_anchor(self, n, d, tau, tile, alike, seed):
        z0, z1 = views(n, d, seed, alike=alike)
        got = with_gradients(lambda z0, z1: tiled_contrastive_loss(z0, z1, tau, "none", tile=tile), z0, z1)
        expected = with_gradients(lambda z0, z1: plain(z0, z1, tau), z0, z1)
        torch.testing.assert_close(got[0], expected[0], rtol=1e-9, atol=1e-15)
        assert (features(got) - features(expected)).norm() <= 1e-9 * features(expected).norm()

    @law
    @given(images, dimensions, taus, tiles, resemblances, seeds)
    def test_in_float32_to_1e_5(self, n, d, tau, tile, alike, seed):
        assert_right(*both_ways(*views(n, d, seed, alike=alike, dtype=torch.float32), tau, tile))

    @pytest.mark.parametrize("tau", TAUS)
    @pytest.mark.parametrize("learned", [False, True])
    @pytest.mark.parametrize(
        ("n", "d", "alike"), [(2, 2, 0.3), (2, 512, 0.3), (1024, 64, 0.3), (2 * TILE - 1, 512, 0.3), (1024, 16, 0.9)]
    )
    def test_in_float32_to_1e_5_from_the_smallest_batch_to_a_large_one(self, n, d, alike, learned, tau):
        """The last batch is nearly matched: there a loss is small, and a similarity's rounding weighs most."""
        z0, z1 = views(n, d, alike=alike, dtype=torch.float32)
        assert_right(*both_ways(z0, z1, torch.tensor(tau) if learned else tau))

    @pytest.mark.parametrize("tau", [0.001, 0.07, 10.0, "one a view"])
    def test_in_float32_to_1e_5_for_8192_images(self, tau):
        """A few anchors against all views: the gradients that they cause need no N x N matrix in float64 either."""
        z = torch.cat(views(8192, 128, alike=0.3, dtype=torch.float32))
        tau = own_taus(len(z), low=-3).float() if isinstance(tau, str) else tau
        chosen = torch.randperm(len(z), generator=torch.Generator().manual_seed(1))[:12]
        got = with_gradients(lambda z: tiled_contrastive_loss(*z.chunk(2), tau, "none")[chosen], z)
        expected = with_gradients(lambda z: plain_of(chosen, z, tau), z.double())
        assert relative_error(got[0], expected[0]) < 1e-5
        assert relative_error(got[1], expected[1]) < 1e-5

    @pytest.mark.parametrize("tau", [0.001, GENTLE * 0.999, GENTLE, 0.1])
    @pytest.mark.parametrize("lead", ["lost", "matched"])
    def test_keeps_finite_and_right_at_the_ends(self, tau, lead):
        """Lost: the positive opposite and a negative on top of the anchor. Matched: the other way round."""
        axis = torch.tensor([[1.0, 0.0, 0.0]]).repeat(4, 1) * torch.tensor([[1.0], [1.0], [-1.0], [-1.0]])
        tilt = torch.tensor([[0.0, 0.1, 0.0], [0.0, 0.0, 0.1], [0.0, -0.1, 0.0], [0.0, 0.0, -0.1]])
        z0, z1 = axis + tilt, (axis if lead == "matched" else -axis) + 1.1 * tilt
        got, expected = both_ways(z0, z1, tau, tile=3)
        assert expected[0] > 1e-30
        assert_right(got, expected)

    def test_whatever_the_lengths_of_the_features(self):
        z0, z1 = views(9, 8, dtype=torch.float32)
        expected = tiled_contrastive_loss(z0, z1, 0.1, tile=4)
        for length in (1e-35, 1e-13, 1e19, 1e36):
            torch.testing.assert_close(tiled_contrastive_loss(z0 * length, z1, 0.1, tile=4), expected)

    def test_for_views_that_are_not_contiguous(self):
        z0, z1 = views(12, 6)
        expected = with_gradients(lambda z0, z1: tiled_contrastive_loss(z0, z1, 0.1, tile=5), z0, z1)
        columns = z0.T.contiguous().T
        strided = torch.stack([z1, -z1], dim=1)[:, 0]
        assert not columns.is_contiguous() and not strided.is_contiguous()
        got = with_gradients(lambda z0, z1: tiled_contrastive_loss(z0, z1, 0.1, tile=5), columns, strided)
        for x, y in zip(got, expected, strict=True):
            torch.testing.assert_close(x, y)

    def test_for_one_tensor_as_both_views_and_for_one_view_without_gradient(self):
        z0, z1 = views(6, 4)
        both = with_gradients(lambda z: tiled_contrastive_loss(z, z, 0.2, tile=4), z0)
        torch.testing.assert_close(both[1], with_gradients(lambda z: plain(z, z, 0.2).mean(), z0)[1])
        one = with_gradients(lambda z: tiled_contrastive_loss(z0, z, 0.2, tile=4), z1)
        torch.testing.assert_close(one[1], with_gradients(lambda z: plain(z0, z, 0.2).mean(), z1)[1])

    @pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
    def test_in_each_reduction(self, reduction):
        z0, z1 = views(7, 5)
        loss = plain(z0, z1, 0.1)
        expected = {"mean": loss.mean(), "sum": loss.sum(), "none": loss}[reduction]
        torch.testing.assert_close(tiled_contrastive_loss(z0, z1, 0.1, reduction), expected)


class TestGradient:
    @pytest.mark.parametrize("tau", [0.02, 0.5])
    @pytest.mark.parametrize("reduction", ["mean", "none"])
    @pytest.mark.parametrize("learned", [None, (), (1,), (4,), (8,)])
    def test_against_finite_differences(self, tau, reduction, learned):
        z = [x.requires_grad_() for x in views(4, 3)]
        if learned is not None:
            z.append((own_taus(8)[: torch.Size(learned).numel()].reshape(learned) * 0.1 + tau).requires_grad_())
        assert gradcheck(
            lambda z0, z1, tau=tau: tiled_contrastive_loss(z0, z1, tau, reduction, tile=3), z, rtol=1e-4, atol=1e-6
        )

    @law
    @given(images, dimensions, taus, tiles, resemblances, seeds)
    def test_of_one_tau_against_autograd(self, n, d, tau, tile, alike, seed):
        inputs = *views(n, d, seed, alike=alike), torch.tensor(tau, dtype=torch.float64)
        got = with_gradients(lambda z0, z1, tau: tiled_contrastive_loss(z0, z1, tau, tile=tile), *inputs)
        expected = with_gradients(lambda z0, z1, tau: plain(z0, z1, tau).mean(), *inputs)
        assert got[3].shape == ()
        torch.testing.assert_close(got[3], expected[3], rtol=1e-8, atol=1e-12 / tau)
        assert (features(got) - features(expected)).norm() <= 1e-9 * features(expected).norm()

    @law
    @given(images, dimensions, st.sampled_from([1, 2]), tiles, resemblances, seeds)
    def test_of_own_taus_against_autograd(self, n, d, each, tile, alike, seed):
        inputs = *views(n, d, seed, alike=alike), own_taus(each * n, seed)
        got = with_gradients(lambda z0, z1, tau: tiled_contrastive_loss(z0, z1, tau, "none", tile=tile), *inputs)
        expected = with_gradients(plain, *inputs)
        torch.testing.assert_close(got[0], expected[0], rtol=1e-9, atol=1e-15)
        assert (features(got) - features(expected)).norm() <= 1e-9 * features(expected).norm()
        torch.testing.assert_close(got[3], expected[3], rtol=1e-8, atol=1e-9)

    @pytest.mark.parametrize("low", [-1.5, -2, -3])
    @pytest.mark.parametrize("each", [1, 2])
    def test_of_own_taus_in_float32(self, low, each):
        z0, z1 = views(64, 32, dtype=torch.float32)
        assert_right(*both_ways(z0, z1, own_taus(each * 64, low=low).float(), tile=50))

    def test_is_tangent_to_the_sphere(self):
        """The loss ignores lengths, so a step along h changes nothing: the gradient goes through the normalisation."""
        z0, z1 = views(8, 5)
        _, dz0, dz1 = with_gradients(lambda z0, z1: tiled_contrastive_loss(z0, z1, 0.1), z0, z1)
        assert dz0.norm() > 0.01
        torch.testing.assert_close((z0 * dz0).sum(dim=1), torch.zeros(8, dtype=torch.float64), atol=1e-14, rtol=0)
        torch.testing.assert_close((z1 * dz1).sum(dim=1), torch.zeros(8, dtype=torch.float64), atol=1e-14, rtol=0)

    def test_twice_through_a_kept_graph_is_the_same(self):
        z0, z1 = (x.requires_grad_() for x in views(8, 5))
        tau = own_taus(8).requires_grad_()
        loss = tiled_contrastive_loss(z0, z1, tau, tile=3)
        first = grad(loss, (z0, z1, tau), retain_graph=True)
        assert all(torch.equal(x, y) for x, y in zip(first, grad(loss, (z0, z1, tau)), strict=True))

    @pytest.mark.parametrize("of", ["features", "tau"])
    def test_of_the_gradient_says_that_there_is_none(self, of):
        z0, z1 = views(4, 3)
        x = z0.requires_grad_() if of == "features" else torch.tensor(0.5, requires_grad=True)
        loss = tiled_contrastive_loss(z0, z1, 0.5 if of == "features" else x)
        (first,) = grad(loss, x, create_graph=True)
        assert first.norm() > 0
        with pytest.raises(RuntimeError, match=r"no second derivatives.*Use contrastive_loss\(\*in_batch"):
            first.sum().backward()


class WithoutFloat64(TorchDispatchMode):
    """As if GPUs had no float64."""

    def __torch_dispatch__(self, operation, types, arguments=(), options=None):
        result = operation(*arguments, **(options or {}))
        for x in tree_leaves(result):
            if isinstance(x, Tensor) and x.device.type == "cuda" and x.dtype == torch.float64:
                raise TypeError(f"{operation}: float64 on a device without it")
        return result


class Kept(SimpleNamespace):
    """What autograd hands from a forward pass to its backward pass."""

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors


@torch.no_grad()
def both_passes_on_a_gpu(tau: float | str, exact: bool) -> None:
    """Loss and gradients of fake features, which have a device and no values: mixing devices fails.

    Autograd refuses to go back through fake tensors of a GPU where there is none, so both passes are called here.
    """
    z0, z1 = torch.empty(10, 4, device="cuda"), torch.empty(10, 4, device="cuda")
    inputs = [z0, z1, torch.empty(20, device="cuda")] if isinstance(tau, str) else [z0, z1]
    kept = Kept()
    loss = tiled._TiledLoss.forward(kept, z0, z1, inputs[2] if isinstance(tau, str) else tau, 3, exact)
    gradients = tiled._TiledLoss.backward(kept, torch.empty_like(loss))
    assert (loss.device.type, loss.dtype, loss.shape) == ("cuda", torch.float32, (20,))
    assert [x is None for x in gradients] == [False] * len(inputs) + [True] * (5 - len(inputs))
    for gradient, x in zip(gradients, inputs, strict=False):
        assert (gradient.device, gradient.dtype, gradient.shape) == (x.device, x.dtype, x.shape)


class TestPrecisionAndDevices:
    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_inputs_are_exact_values_of_float32(self, dtype):
        half = views(20, 16, dtype=dtype)
        loss = tiled_contrastive_loss(*(z.requires_grad_() for z in half), 0.05, tile=7)
        assert loss.dtype == torch.float32
        full = with_gradients(lambda z0, z1: tiled_contrastive_loss(z0, z1, 0.05, tile=7), *(z.float() for z in half))
        assert loss.item() == full[0].item()
        for got, expected in zip(grad(loss, half), full[1:], strict=True):
            assert got.dtype == dtype
            assert torch.equal(got, expected.to(dtype))

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    @pytest.mark.parametrize("tau", TAUS)
    def test_half_inputs_give_value_and_gradient_of_float64_rounded(self, dtype, tau):
        half = views(100, 48, alike=0.3, dtype=dtype)
        got = with_gradients(lambda z0, z1: tiled_contrastive_loss(z0, z1, tau), *half)
        expected = with_gradients(lambda z0, z1: plain(z0, z1, tau).mean(), *(z.double() for z in half))
        assert relative_error(got[0], expected[0]) < 1e-5
        kept = torch.finfo(dtype)
        error = (features(got) - features(expected)).abs()
        rounding = kept.eps * (features(expected).abs() + kept.smallest_normal) / 2
        assert (error <= rounding + 1e-5 * features(expected).abs().max()).all()

    def test_views_of_two_precisions_meet_in_the_finer(self):
        z0, z1 = views(6, 4)
        mixed = with_gradients(lambda z0, z1: tiled_contrastive_loss(z0, z1, 0.1), z0.float(), z1)
        torch.testing.assert_close(mixed[0], plain(z0.float().double(), z1, 0.1).mean(), rtol=1e-12, atol=0)

    def test_autocast_changes_nothing(self):
        z0, z1 = (z.requires_grad_() for z in views(20, 16, dtype=torch.float32))
        outside = tiled_contrastive_loss(z0, z1, 0.05)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            inside = tiled_contrastive_loss(z0, z1, 0.05)
            gradient = grad(inside, z0)[0]
        assert torch.equal(inside, outside)
        assert torch.equal(gradient, grad(outside, z0)[0])

    @pytest.mark.parametrize("exact", [False, True])
    @pytest.mark.parametrize("tau", [0.07, 0.005, "one a view"])
    def test_every_operation_of_both_passes_stays_on_the_device_of_the_features(self, tau, exact):
        with FakeTensorMode():
            both_passes_on_a_gpu(tau, exact)

    @pytest.mark.parametrize("tau", [0.005, "one a view"])
    def test_a_device_without_float64_does_without(self, tau, monkeypatch):
        with FakeTensorMode(), WithoutFloat64():
            with pytest.raises(TypeError, match="float64 on a device without"):
                both_passes_on_a_gpu(tau, exact=True)
            monkeypatch.setattr(tiled, "has_float64", lambda device: device.type != "cuda")
            both_passes_on_a_gpu(tau, exact=True)

    def test_a_tau_in_float64_comes_to_a_device_without_it(self, monkeypatch):
        monkeypatch.setattr(tiled, "check_temperature", lambda tau: None)  # fake tensors have no values to check
        with FakeTensorMode(), WithoutFloat64():
            z0, z1 = (torch.empty(10, 4, device="cuda") for _ in range(2))
            tau = torch.ones(10, dtype=torch.float64)
            own = tiled._temperature(tau, z0, z1)
        assert (own.device.type, own.dtype, own.shape) == ("cuda", torch.float32, (20,))

    def test_apples_gpus_have_no_float64(self):
        assert not tiled.has_float64(torch.device("mps"))
        assert all(tiled.has_float64(torch.device(name)) for name in ("cpu", "cuda"))

    def test_without_float64_the_loss_is_right_up_to_the_rounding_of_a_similarity(self, monkeypatch):
        monkeypatch.setattr(tiled, "has_float64", lambda device: False)
        got, expected = both_ways(*views(1024, 16, alike=0.9, dtype=torch.float32), 0.003)
        assert 1e-5 < relative_error(features(got), features(expected)) < 1.5e-7 / 0.003


class TestRefuses:
    def test_an_unknown_reduction(self):
        with pytest.raises(ValueError, match="unknown reduction 'men'. Did you mean 'mean'\\? Known: mean, sum, none"):
            tiled_contrastive_loss(*views(4, 3), 0.1, "men")

    @pytest.mark.parametrize("tile", [0, -5])
    def test_a_tile_without_views(self, tile):
        with pytest.raises(ValueError, match=f"at least one view, got tile = {tile}"):
            tiled_contrastive_loss(*views(4, 3), 0.1, tile=tile)

    @pytest.mark.parametrize("bad", [0.0, -0.1, float("nan"), float("inf")])
    def test_an_impossible_temperature_however_it_is_given(self, bad):
        for tau in (bad, torch.tensor(bad), torch.tensor([0.1, 0.1, bad, 0.1])):
            with pytest.raises(ValueError, match=r"temperature must be a finite number > 0"):
                tiled_contrastive_loss(*views(4, 3), tau)

    @pytest.mark.parametrize("shape", [(3,), (0,), (4, 1), (2, 4), (16,)])
    def test_temperatures_that_fit_neither_images_nor_views(self, shape):
        with pytest.raises(
            ValueError, match=r"\(4,\) with one an image or \(8,\) with one a view, got a tensor of shape"
        ):
            tiled_contrastive_loss(*views(4, 3), torch.full(shape, 0.1))

    def test_views_that_do_not_match_or_have_no_direction(self):
        z0, z1 = views(4, 3)
        with pytest.raises(ValueError, match="the two views must have the same shape"):
            tiled_contrastive_loss(z0, z1[:3], 0.1)
        with pytest.raises(ValueError, match="pairs need at least two"):
            tiled_contrastive_loss(z0[:1], z1[:1], 0.1)
        with pytest.raises(ValueError, match="z1 holds 1 zero vector"):
            tiled_contrastive_loss(z0, z1 * torch.tensor([[1.0], [0.0], [1.0], [1.0]]), 0.1)
        with pytest.raises(ValueError, match="z0 holds 12 value\\(s\\) that are NaN or infinite"):
            tiled_contrastive_loss(z0 / 0, z1, 0.1)


PEAK = """
import torch
from torch.nn.functional import cross_entropy, normalize
from contrastlab.tiled import tiled_contrastive_loss

def plain(z0, z1, tau):
    z = normalize(torch.cat([z0, z1]), dim=1)
    itself = torch.eye(len(z), dtype=torch.bool)
    return cross_entropy((z @ z.T / tau).masked_fill(itself, float("-inf")), torch.arange(len(z)).roll(len(z0)))

def rise(loss, n):  # MiB by which the peak grows
    z0, z1 = (torch.randn(n, 128, requires_grad=True) for _ in range(2))
    before = peak()
    loss(z0, z1, tau).backward()
    return peak() - before

def peak():
    line = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

torch.set_num_threads(1)
tau = 0.07
rise(plain, 8), rise(tiled_contrastive_loss, 8)  # what is loaded on first use
print(rise(tiled_contrastive_loss, 4096), rise(plain, 4096))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_needs_a_twentieth_of_the_memory_of_cross_entropy_for_4096_images():
    """An 8192 x 8192 matrix is 256 MiB and cross-entropy keeps three; the gradients alone, 4 MiB, both must hold."""
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    tiled, plain = map(float, done.stdout.split())
    assert plain > 500
    assert tiled < 0.05 * plain


RISE = """
import sys
import torch
from contrastlab.bench import loss, memory
from contrastlab.tiled import tiled_contrastive_loss

def step(n):
    z0, z1 = loss.features(n)
    return lambda: tiled_contrastive_loss(z0, z1, tau).backward()

torch.set_num_threads(1)
tau = torch.tensor(float(sys.argv[1]), requires_grad=True) if "learned" in sys.argv else float(sys.argv[1])
step(memory.WARM)()  # what is loaded on first use
print(memory.rise_here(step(8192)))
"""


@pytest.mark.skipif(not memory.RESET_PEAK.exists(), reason="only Linux lets a process forget its peak")
@pytest.mark.parametrize("tau", [["0.1"], ["0.01"], ["0.1", "learned"], ["0.01", "learned"]], ids=" ".join)
def test_needs_less_than_16_MB_for_8192_images(tau):
    """Of them 8.4 MB are the gradients. All unit vectors in float64 would be 16.8 MB."""
    command = [sys.executable, "-c", RISE, *tau]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | memory.HAND_BACK)
    assert 8 < float(done.stdout) < 16
