"""Chapter 11: what it writes out is right, its commands are commands, and its exercises name mistakes."""

import ast
import math
import os
import re
import shlex
import subprocess
import sys

import jupytext
import pytest
import torch
from torch.nn.functional import normalize
from torch.utils.flop_counter import FlopCounterMode

from contrastlab import cli, config, data, distributed, tiled_gathered, train, train_command
from contrastlab.bench import memory
from contrastlab.exercises import chapter11
from contrastlab.files import repository_root
from contrastlab.losses import contrastive_loss
from contrastlab.negatives import in_batch

SOURCE = repository_root() / "chapters" / "11-at-scale.md"


def definitions_of_the_chapter():
    """Its imports, functions and classes, without running anything else of it."""
    namespace = {"TILE": 7}
    for cell in jupytext.read(SOURCE, fmt="md:myst").cells:
        if cell.cell_type == "code" and "solution" not in cell.metadata.get("tags", []):
            kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
            body = [node for node in ast.parse(cell.source).body if isinstance(node, kept)]
            exec(compile(ast.Module(body, type_ignores=[]), "chapter 11", "exec"), namespace)
    return namespace


CHAPTER = definitions_of_the_chapter()


def two_views(n, d, seed):
    generator = torch.Generator().manual_seed(seed)
    return normalize(torch.randn(2, n, d, generator=generator, dtype=torch.float64), dim=2)


@pytest.mark.parametrize(("n", "tau"), [(2, 1.0), (7, 0.1), (20, 0.05)])
def test_the_tiled_loss_as_written_out_is_the_plain_one_also_where_the_anchors_weigh_differently(n, tau):
    z = two_views(n, 5, n)
    weight = torch.rand(2 * n, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    written_out = CHAPTER["Tiled"].apply
    found = []
    for loss in (lambda z: contrastive_loss(*in_batch(*z), tau), lambda z: written_out(z.flatten(0, 1), tau)):
        leaf = z.clone().requires_grad_()
        value = loss(leaf)
        found.append((value.detach(), *torch.autograd.grad((weight * value).sum(), leaf)))
    for got, expected in zip(found[1], found[0], strict=True):
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-10)


def as_if_one_of(world, monkeypatch):
    """This process is the first of so many, and the others have the same features as it."""
    monkeypatch.setattr(distributed, "world_size", lambda: world)
    monkeypatch.setattr(distributed, "rank", lambda: 0)
    monkeypatch.setattr(distributed, "collect", lambda x: torch.cat([x] * world))


@pytest.mark.parametrize("world", [1, 2, 4])
def test_own_anchors_are_the_machines_share_of_the_whole_batch(world):
    z0, z1 = two_views(8, 5, 0)
    parts = z0.chunk(world), z1.chunk(world)
    whole = contrastive_loss(*in_batch(z0, z1), 0.1).view(2, world, -1)  # view, machine, image
    for r in range(world):
        got = CHAPTER["own_anchors"](CHAPTER["nothing_back"], r, *parts)
        assert got.item() == pytest.approx(whole[:, r].mean().item())


def test_a_sum_of_upstream_gradients_is_what_a_gather_hands_back():
    """The answer of exercise 3 against autograd: W machines that each use the gathered features in their own way."""
    z = torch.randn(4, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).requires_grad_()
    use = torch.randn(4, 8, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (expected,) = torch.autograd.grad((use * z.flatten(0, 1)).sum(), z)
    for r in range(4):
        torch.testing.assert_close(chapter11._backward(use, r), expected[r])


def test_the_commands_of_the_chapter_are_commands():
    text = SOURCE.read_text(encoding="utf-8").replace("\\\n", " ")
    block = re.search(r"```bash\n(.*?)```", text, re.DOTALL)[1]
    commands = [shlex.split(line) for line in block.splitlines() if line and not line.startswith("#")]
    trainings = [command for command in commands if "train" in command]
    packing = [cli._parser().parse_args(command[command.index("pack") :]) for command in commands if "pack" in command]
    assert (len(trainings), len(packing), len(commands)) == (3, 1, 4)
    for command in trainings:
        asked = train_command._parser().parse_args(command[command.index("train") + 1 :])
        assert asked.checkpoint.name == "run.safetensors"
        assert asked.tau == 0.1
        assert asked.size is None  # refused for what is packed already
        assert asked.data in (data.EMBEDDED, packing[0].target)
        if "torch.distributed.run" in command:
            launcher = command[command.index("torch.distributed.run") + 1 : command.index("train") - 2]
            run = pytest.importorskip("torch.distributed.run")
            assert run.parse_args([*launcher, "script"]).max_restarts == 3


def test_a_process_of_many_computes_three_products(monkeypatch):
    """The arithmetic of the chapter's price, counted while the loss and its gradient are computed."""
    n, world, d = 64, 8, 16
    as_if_one_of(world, monkeypatch)
    z0, z1 = two_views(n, d, 0).requires_grad_().unbind()
    in_place = {torch.ops.aten.addmm_: lambda dz, G, z, **_: 2 * G[0] * G[1] * z[1]}  # PyTorch counts addmm only
    with FlopCounterMode(display=False, custom_mapping=in_place) as counter:
        tiled_gathered.gathered_tiled_loss(z0, z1, 0.1, tile=20).backward()
    assert counter.get_total_flops() == 3 * 2 * (2 * n) * (2 * n * world) * d


MEASURED = """
import sys
import torch
from contrastlab import distributed
from contrastlab.bench import memory
from contrastlab.tiled_gathered import forecast_share, gathered_tiled_loss

torch.set_num_threads(1)
images, world = int(sys.argv[1]), int(sys.argv[2])
distributed.world_size, distributed.rank = lambda: world, lambda: 0
distributed.collect = lambda x: torch.cat([x] * world)


def loss_of(n):
    z0, z1 = (torch.randn(n, 128).requires_grad_() for _ in range(2))
    return lambda: gathered_tiled_loss(z0, z1, 0.1).backward()


loss_of(400)()  # what is loaded on first use
print(memory.rise_here(loss_of(images // world)) * 1e6 / 2**20, forecast_share(images, world).mebibytes)
"""


@pytest.mark.skipif(not memory.RESET_PEAK.exists(), reason="only Linux lets a process forget its peak")
@pytest.mark.parametrize(("images", "world"), [(4096, 2), (4096, 8), (32_768, 64)])
def test_the_memory_that_is_forecast_is_what_a_process_takes(images, world):
    """Measured in a process of its own that sees copies of its features as those of the others; within 30 %."""
    command = [sys.executable, "-c", MEASURED, str(images), str(world)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=os.environ | memory.HAND_BACK)
    measured, forecast = map(float, done.stdout.split())
    assert measured == pytest.approx(forecast, rel=0.3)


def test_the_plain_matrix_of_a_forecast_is_2n_by_2N():
    share = tiled_gathered.forecast_share(512, 4)
    assert share.mebibytes_plain == 4 * (2 * 128) * (2 * 512) / 2**20
    assert share.mebibytes < tiled_gathered.forecast_share(1024, 4).mebibytes


def test_what_the_prose_says_of_the_library():
    assert train.TILED_FROM == 2048
    assert config.Config().batch_size * 2 - 2 == chapter11.FEW
    assert chapter11.MANY == 65_536 * 2 - 2


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (1.11, "Right."),
        (1.1098, "Right."),
        (5.549, "Multiply it by tau"),
        (27.7, "1 / tau"),
        (0.482, "base 10"),
        (1.601, "base 2"),
        (2.357, "510 of them already"),
        (-1.11, "sign"),
        (1.2, "above the answer"),
    ],
)
def test_lead(answer, words, capsys):
    chapter11.check_lead(answer)
    assert words in capsys.readouterr().out


def test_the_lead_keeps_the_positives_probability():
    lead = chapter11.TAU * math.log(chapter11.MANY / chapter11.FEW)
    few, many = (
        contrastive_loss(torch.tensor([s]), torch.zeros(1, K), chapter11.TAU)
        for s, K in ((0.4, chapter11.FEW), (0.4 + lead, chapter11.MANY))
    )
    torch.testing.assert_close(few, many, rtol=1e-4, atol=0)


def by_logarithms(top_a, A_a, top_b, A_b, tau):
    """A cautious learner's way."""
    both = torch.logaddexp(A_a.log() + top_a / tau, A_b.log() + top_b / tau)
    return (both - torch.maximum(top_a, top_b) / tau).exp()


def by_cases(top_a, A_a, top_b, A_b, tau):
    """The other's sum, scaled down, onto that of the nearer top."""
    factor = (-(top_a - top_b).abs() / tau).exp()
    return torch.where(top_a > top_b, A_a + factor * A_b, factor * A_a + A_b)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (by_logarithms, "Right."),
        (by_cases, "Right."),
        (lambda top_a, A_a, top_b, A_b, tau: A_a + A_b, "different tops"),
        (lambda top_a, A_a, top_b, A_b, tau: A_a + A_b * ((top_b - top_a) / tau).exp(), "first tile's top"),
        (lambda top_a, A_a, top_b, A_b, tau: by_cases(top_a, A_a, top_b, A_b, 1.0), "left out the temperature"),
        (lambda top_a, A_a, top_b, A_b, tau: by_cases(top_a, A_a, top_b, A_b, -tau), "upside down"),
        (lambda top_a, A_a, top_b, A_b, tau: by_logarithms(top_a, A_a, top_b, A_b, tau).log(), "logarithm of the sum"),
        (lambda top_a, A_a, top_b, A_b, tau: torch.where(top_a > top_b, A_a, A_b), "dropped the other"),
        (lambda top_a, A_a, top_b, A_b, tau: (A_a + A_b).sum(), "shape"),
    ],
)
def test_merge(answer, words, capsys):
    chapter11.check_merge(answer)
    assert words in capsys.readouterr().out


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda u, r: u.sum(0).view(len(u), -1, u.shape[2])[r], "Right."),
        (lambda u, r: u[r].chunk(len(u))[r], "own gradient only"),
        (lambda u, r: u.mean(0).chunk(len(u))[r], "DDP takes it once more"),
        (lambda u, r: len(u) * u.sum(0).chunk(len(u))[r], "undo DDP's mean"),
        (lambda u, r: u.sum(0).chunk(len(u))[0], "first machine's"),
        (lambda u, r: (u.sum(0) - u[r]).chunk(len(u))[r], "left out machine r"),
        (lambda u, r: u.sum(0), "shape"),
    ],
)
def test_backward(answer, words, capsys):
    chapter11.check_backward(answer)
    assert words in capsys.readouterr().out
