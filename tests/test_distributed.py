"""Training on several real processes: what one process would do, on any number of them, and after one is killed."""

import json
import math
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

import distributed_worker as worker
from contrastlab import checkpoints, distributed, encoders, train_command, views
from contrastlab.config import Config
from contrastlab.train import load_trained

WORKER = Path(worker.__file__)
# Results of one process's batch statistics are not those of two, so the command's run is compared with two processes'.
COMMAND = ["--images", "128", "--epochs", "8", "--batch-size", "16"]
COMMAND += ["--width", "4", "--dim", "16", "--warmup", "0"]

# What each wrong gather leaves of the right gradient's norm on 2 and on 4 processes.
NORMS = {
    "none goes back": {2: 0.58, 4: 0.58},
    "own part put back": {2: 0.75, 4: 0.64},
    "own part put back, all anchors": {2: 0.50, 4: 0.25},
    worker.TIMES_PROCESSES: {2: 1.51, 4: 2.56},
}


def launch(processes: int, *arguments: str | Path, restarts: int = 0) -> list[str]:
    """The command that starts so many processes, which find each other on this machine."""
    options = ["--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={processes}", f"--max-restarts={restarts}"]
    return [sys.executable, "-m", "torch.distributed.run", *options, *map(str, arguments)]


def surroundings() -> dict[str, str]:
    loopback = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
    return os.environ | loopback | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", "TQDM_DISABLE": "1"}


def run(command: list[str]) -> str:
    done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def long(tmp_path_factory):
    """The folder in which two processes, then four, continue one run."""
    return tmp_path_factory.mktemp("distributed")


@pytest.fixture(scope="module")
def found(long):
    """found[W] = tensors and description that W processes wrote; two do the long run's first epoch, four the second."""
    results = {}
    for processes, epochs in ((2, 1), (4, 2)):
        out = long / f"{processes}.safetensors"
        run(launch(processes, WORKER, out, epochs))
        results[processes] = checkpoints.load(out)
    return results


@pytest.fixture(scope="module")
def alone():
    """The same steps on one process."""
    with pytest.MonkeyPatch.context() as patch, worker.image_by_image(patch):
        return {name: worker.after_one_step(config) for name, config in worker.CASES.items()}


def relative_error(got: Tensor, expected: Tensor) -> float:
    return float((got - expected).norm() / expected.norm())


def part(tensors: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def whole_gradient(step: dict[str, Tensor]) -> Tensor:
    return torch.cat([step[key].flatten() for key in sorted(step) if key.startswith("gradient of")])


def assert_same(tensors: dict[str, Tensor], name: str, expected: dict[str, Tensor], limit: float) -> None:
    for key, value in expected.items():
        error = relative_error(tensors[f"{name}.{key}"], value)
        assert error <= limit, f"the {key} of {name} differs by {error:.2g}"


@pytest.fixture(scope="module")
def little():
    """The step of chapter 11's little net on one process."""
    return worker.little_step()


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("name", worker.CASES)
def test_loss_and_every_gradient_are_those_of_one_process(found, alone, processes, name):
    """Every loss, with negatives from the whole batch and from a bank that the processes share."""
    assert_same(found[processes][0], name, alone[name], 1e-6)


@pytest.mark.parametrize("processes", [2, 4])
def test_a_large_batch_goes_through_the_tiled_loss_with_the_same_result(found, alone, processes):
    assert_same(found[processes][0], "tiled-batch", alone["contrastive-batch"], 1e-6)


@pytest.mark.parametrize("processes", [2, 4])
def test_a_compiled_encoder_on_several_processes_has_the_same_gradients(found, alone, processes):
    assert found[processes][0]["compiled.graphs"] >= 2  # the probe and the encoder
    assert_same(found[processes][0], "compiled", alone["contrastive-batch"], 1e-6)


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("tau", worker.TAUS)
def test_the_tiled_loss_of_gathered_features_is_exact(found, processes, tau):
    assert_same(found[processes][0], f"tau {tau}", worker.plain(tau, processes), 1e-12)
    assert_same(found[processes][0], f"float32, tau {tau}", worker.plain(tau, processes), 1e-5)


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize("processes", [2, 4])
def test_the_tiled_loss_of_gathered_features_holds_no_matrix_of_similarities(found, processes):
    own, everybody = 2 * worker.BIG // processes, 2 * worker.BIG
    assert found[processes][1]["mebibytes"] < 0.5 * 4 * own * everybody / 2**20


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("fault", worker.FAULTS)
def test_a_gather_that_loses_gradients_is_found_out(found, alone, processes, fault):
    """The loss alone would not tell: it is right, unless somebody multiplied it. The gradient is not, by far."""
    tensors, expected = found[processes][0], alone["contrastive-batch"]
    times = processes if fault == worker.TIMES_PROCESSES else 1
    assert_same(tensors, fault, {"loss": times * expected["loss"]}, 1e-6)
    right, got = (whole_gradient(step) for step in (expected, part(tensors, fault)))
    assert relative_error(got, right) > 0.1
    if fault == "own part put back, all anchors":  # the direction is right, and hides the size
        assert relative_error(processes * got, right) < 1e-6


@pytest.mark.parametrize("processes", [2, 4])
@pytest.mark.parametrize("fault", worker.FAULTS)
def test_the_norms_of_such_gradients_are_those_that_the_book_prints(found, little, processes, fault):
    """On chapter 11's little net, to the two decimals given. On other data only 1 / W stays what it is."""
    step = part(found[processes][0], f"little, {fault}")
    ratio = float(step["gradient"].norm() / little["gradient"].norm())
    assert ratio == pytest.approx(NORMS[fault][processes], abs=0.005)


@pytest.mark.parametrize("processes", [2, 4])
def test_each_process_keeps_its_part_of_the_bank_only(found, processes):
    rows = math.ceil(worker.IMAGES / processes)
    assert found[processes][0]["bank.rows"].tolist() == [rows] * processes


def test_batchnorm_is_synchronised_on_gpus_and_nowhere_else(monkeypatch):
    """PyTorch synchronises it on GPUs only. The model is never run here, so it needs none."""
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "DistributedDataParallel", lambda model, **options: model)
    kinds = {}
    for device in ("cpu", "cuda"):
        model = distributed.parallel(encoders.build("small", 1, 16, 4), torch.device(device))
        kinds[device] = [type(layer) for layer in model.modules() if isinstance(layer, _BatchNorm)]
    assert kinds["cpu"] == [nn.BatchNorm2d] * len(kinds["cpu"])
    assert kinds["cuda"] == [nn.SyncBatchNorm] * len(kinds["cpu"])
    assert kinds["cpu"]


@pytest.mark.parametrize("processes", [2, 4])
def test_all_processes_end_with_one_encoder_also_in_its_running_statistics(found, processes):
    of_each = found[processes][0]["batchnorm.weights"]
    assert len(of_each) == processes
    assert all(torch.equal(weights, of_each[0]) for weights in of_each)


def test_a_run_goes_on_with_another_number_of_processes(found, long):
    """An epoch on two, one on four, one alone: as if one process had done all three. The bank comes along."""
    with pytest.MonkeyPatch.context() as patch, worker.image_by_image(patch):
        whole = worker.trained(worker.LONG)
        epochs = []
        rest = worker.trained(
            worker.LONG, checkpoint=long / "long.safetensors", after_epoch=lambda epoch, _: epochs.append(epoch)
        )
    assert epochs == [3]
    assert rest.history == pytest.approx(whole.history, rel=1e-5)
    assert relative_error(worker.weights(rest), worker.weights(whole)) < 1e-5


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("batch", "a batch of 17 images cannot be shared by 2 processes.*Try batch_size = 16"),
        ("images", "process 1 of 2 has another configuration or other images than process 0"),
        ("config", "process 1 of 2 has another configuration"),
        ("features", r"process 1 has features of 5 images, \(5, 8\), and process 0 of 6, \(6, 8\)"),
    ],
)
def test_processes_that_do_not_fit_together_are_told(found, what, message):
    assert re.search(message, found[2][1]["refusals"][what])


@pytest.mark.skipif(os.name != "posix", reason="a process kills itself with SIGKILL")
@pytest.mark.parametrize("victim", [0, 1])
def test_the_command_starts_again_from_its_checkpoint_when_a_process_is_killed(found, tmp_path, victim):
    """One dies of SIGKILL in the midst of epoch 4, of 128 / 16 = 8 steps; both do that epoch again, and end as ever."""
    checkpoint, last = tmp_path / "run.safetensors", str(3 * 8 + 4)
    told = json.loads(run(launch(2, WORKER, tmp_path, victim, last, *COMMAND, "--checkpoint", checkpoint, restarts=1)))
    epochs = {path.stem: json.loads(path.read_text()) for path in tmp_path.glob("*.json")}
    assert epochs == {"0-0": [1, 2, 3], "0-1": [1, 2, 3], "1-0": [4, 5, 6, 7, 8], "1-1": [4, 5, 6, 7, 8]}
    assert told["restarts"] == 1 and told["processes"] == 2
    assert told["history"] == found[2][1]["history"]
    assert torch.equal(worker.weights(load_trained(checkpoint)[0]), found[2][0]["batchnorm.weights"][0])


def test_a_restart_does_not_train_from_nothing_when_the_checkpoint_is_damaged(tmp_path):
    """The first start sets the damaged file aside and ends; the launcher's second must not take that for a new run."""
    checkpoint = tmp_path / "run.safetensors"
    checkpoint.write_bytes(b"damaged")
    command = launch(2, "-m", "contrastlab", "train", *COMMAND, "--checkpoint", checkpoint, restarts=1)
    done = subprocess.run(command, env=surroundings(), capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert f"{checkpoint} is no whole checkpoint" in done.stderr
    assert f"no checkpoint {checkpoint}, but run.safetensors.damaged lies beside where it was" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run.safetensors.damaged"]
    assert (tmp_path / "run.safetensors.damaged").read_bytes() == b"damaged"


def test_the_command_takes_every_setting_of_a_run():
    assert set(train_command.HELP) == {field.name for field in fields(Config)}


def test_the_command_alone_prints_its_history_and_keeps_it(tmp_path, capsys):
    checkpoint = tmp_path / "run.safetensors"
    train_command.run([*COMMAND, "--milestones", "1", "2", "--checkpoint", str(checkpoint)])
    told = json.loads(capsys.readouterr().out)
    assert told["processes"] == 1 and told["config"]["milestones"] == [1, 2]
    assert told["history"] == checkpoints.load(checkpoint)[1]["history"]
    assert len(told["history"]) == told["config"]["epochs"] == 8


def test_a_part_of_a_batch_has_the_views_it_has_in_the_whole():
    images = torch.randint(0, 256, (12, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    mean, std = views.channel_statistics(images)
    whole = torch.Generator().manual_seed(1)
    expected = [views.augment(images, mean, std, whole) for _ in range(2)]
    for part in (slice(0, 4), slice(4, 12)):
        draws = views.PartOf(torch.Generator().manual_seed(1), 12, part)
        for x in expected:
            torch.testing.assert_close(views.augment(images[part], mean, std, draws), x[part])
