"""The training loop: learns, repeats itself, goes on after a kill, and refuses what cannot work."""

import math
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from contrastlab import checkpoints, data, encoders, evaluate, views
from contrastlab.losses import LOSSES
from contrastlab.negatives import MemoryBank, in_batch
from contrastlab.train import Config, learning_rate, load_trained, loss_function, train

TINY = Config(epochs=2, batch_size=32, width=4, dim=16, warmup=0)


@pytest.fixture(scope="module")
def images():
    return data.load("fashion-mini", "train").subset(192)


def weights(trained):
    return torch.cat([value.flatten().double() for value in trained.encoder.state_dict().values()])


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("negatives", ["bank", "batch"])
def test_every_loss_trains_with_either_source_of_negatives(images, loss, negatives):
    config = replace(TINY, loss=loss, negatives=negatives, alpha=0.1 if loss.startswith("hard") else None)
    trained = train(config, images, device="cpu", progress=False)
    assert len(trained.history) == 2
    z = evaluate.embed(trained, images)[1]
    torch.testing.assert_close(z.norm(dim=1), torch.ones(len(images)))


def test_the_loss_falls_well_below_that_of_a_blind_guess(images):
    trained = train(replace(TINY, epochs=16, tau=0.2), images, device="cpu", progress=False)
    assert trained.history[-1] < math.log(2 * TINY.batch_size - 1) - 0.7
    assert all(later < earlier for earlier, later in zip(trained.history[::4], trained.history[4::4], strict=False))


def test_same_seed_same_result(images):
    first, second = (train(TINY, images, device="cpu", progress=False) for _ in range(2))
    assert torch.equal(weights(first), weights(second))
    other = train(replace(TINY, seed=1), images, device="cpu", progress=False)
    assert not torch.equal(weights(first), weights(other))


@pytest.mark.parametrize("negatives", ["bank", "batch"])
def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(images, tmp_path, negatives):
    config = replace(TINY, epochs=3, negatives=negatives)
    whole = train(config, images, device="cpu", progress=False)

    class Killed(Exception):
        pass

    def kill(epoch, trained):
        if epoch == 2:
            raise Killed

    path = tmp_path / "run.safetensors"
    with pytest.raises(Killed):
        train(config, images, device="cpu", checkpoint=path, progress=False, after_epoch=kill)
    epochs = []
    rest = train(
        config, images, device="cpu", checkpoint=path, progress=False, after_epoch=lambda epoch, _: epochs.append(epoch)
    )
    assert epochs == [3]
    assert torch.equal(weights(rest), weights(whole))
    assert rest.history == whole.history


def test_a_checkpoint_gives_the_encoder_back(images, tmp_path):
    path = tmp_path / "run.safetensors"
    trained = train(TINY, images, device="cpu", checkpoint=path, progress=False)
    loaded, config = load_trained(path)
    assert config == TINY
    torch.testing.assert_close(evaluate.embed(loaded, images)[1], evaluate.embed(trained, images)[1])


def test_a_checkpoint_of_another_config_is_refused_and_kept(images, tmp_path):
    path = tmp_path / "run.safetensors"
    train(TINY, images, device="cpu", checkpoint=path, progress=False)
    content = path.read_bytes()
    with pytest.raises(ValueError, match="another configuration"):
        train(replace(TINY, tau=0.5), images, device="cpu", checkpoint=path, progress=False)
    with pytest.raises(ValueError, match="or other images"):
        train(TINY, images.subset(128), device="cpu", checkpoint=path, progress=False)
    assert path.read_bytes() == content


@pytest.mark.parametrize("damage", [lambda c: c[: len(c) // 2], lambda c: b"\x00" * 16, lambda c: b""])
def test_a_damaged_checkpoint_is_named_and_set_aside(images, tmp_path, damage):
    path = tmp_path / "run.safetensors"
    train(TINY, images, device="cpu", checkpoint=path, progress=False)
    damaged = damage(path.read_bytes())
    path.write_bytes(damaged)
    with pytest.raises(checkpoints.DamagedCheckpoint, match=r"run\.safetensors is no whole checkpoint"):
        train(TINY, images, device="cpu", checkpoint=path, progress=False)
    assert (tmp_path / "run.safetensors.damaged").read_bytes() == damaged


def test_a_file_of_somebody_else_is_refused_and_left_where_it_is(images, tmp_path):
    path = tmp_path / "theirs.safetensors"
    safetensors.torch.save_file({"weight": torch.zeros(2)}, path)
    for use in (load_trained, lambda path: train(TINY, images, device="cpu", checkpoint=path, progress=False)):
        with pytest.raises(ValueError, match=r"theirs\.safetensors is not a checkpoint of this book.* Name another"):
            use(path)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs.safetensors"]


@pytest.mark.parametrize("description", [{"config": {"temperature": 0.1}}, {}, []], ids=["future", "none", "list"])
def test_a_config_of_another_version_is_another_configuration(images, tmp_path, description):
    path = tmp_path / "run.safetensors"
    checkpoints.save(path, {"weight": torch.zeros(2)}, description)
    for use in (load_trained, lambda path: train(TINY, images, device="cpu", checkpoint=path, progress=False)):
        with pytest.raises(ValueError, match="another configuration or other images. Name another checkpoint"):
            use(path)


def test_missing_checkpoint(tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint at"):
        load_trained(tmp_path / "none.safetensors")


def test_an_unwritable_checkpoint_folder_is_named(images, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(PermissionError, match="cannot write into"):
        train(TINY, images, device="cpu", checkpoint=tmp_path / "file" / "run.safetensors", progress=False)


def test_a_loss_that_is_not_finite_is_reported(images):
    with pytest.raises((FloatingPointError, ValueError), match="learning rate"):
        train(replace(TINY, lr=1e30), images, device="cpu", progress=False)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"loss": "contrastiv"}, "unknown loss 'contrastiv'. Did you mean 'contrastive'"),
        ({"tau": 0.0}, "temperature must be a finite number > 0"),
        ({"tau": None}, "temperature must be a finite number > 0"),
        ({"negatives": "queue"}, "unknown source of negatives"),
        ({"schedule": "cosin"}, "Did you mean 'cosine'"),
        ({"batch_size": 1}, "at least 2 images"),
        ({"epochs": 0}, "epochs >= 1"),
    ],
)
def test_impossible_configs_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        replace(TINY, **change)


def test_a_batch_larger_than_the_data_is_refused(images):
    with pytest.raises(ValueError, match="a batch of 500 does not fit 192 images"):
        train(replace(TINY, batch_size=500), images, device="cpu", progress=False)


def test_learning_rate_warms_up_and_follows_its_schedule():
    cosine = Config(lr=1.0, epochs=10, warmup=1.0)
    assert learning_rate(cosine, 0.0) < 0.01
    assert learning_rate(cosine, 5.0) == pytest.approx(0.5)
    assert learning_rate(cosine, 10.0) == pytest.approx(0.0)
    step = Config(lr=1.0, epochs=10, warmup=0, schedule="step", milestones=(4, 8))
    assert [learning_rate(step, e) for e in (3.9, 4, 8)] == pytest.approx([1, 0.1, 0.01])


@pytest.mark.parametrize(
    "config",
    [TINY, replace(TINY, loss="hard_simple", alpha=0.1), replace(TINY, negatives="bank")],
    ids=["batch", "hard", "bank"],
)
def test_nothing_is_made_on_a_fixed_device(config):
    """Views, encoder, negatives and loss on a pretended GPU: an operation with a tensor made on the CPU would raise."""
    device = torch.device("cuda")
    with FakeTensorMode():
        with device:  # weights are made where they belong; everything after them must follow the images
            encoder = encoders.build(config.encoder, 3, config.dim, config.width)
        images = torch.zeros(8, 3, 32, 32, dtype=torch.uint8, device=device)
        mean, std = views.channel_statistics(images)
        z0, z1 = (encoder(x) for x in views.two_views(images, mean, std))
        bank = MemoryBank(20, config.dim).to(device)
        index = torch.arange(8, device=device)
        pair = bank.similarities(z0, index) if config.negatives == "bank" else in_batch(z0, z1)
        loss = loss_function(config)(*pair).mean()
        bank.update(z0.detach(), index)
        assert loss.device.type == bank.z.device.type == "cuda"


def test_the_pretended_gpu_does_catch_a_tensor_on_the_cpu():
    with FakeTensorMode(), pytest.raises(Exception, match="device"):
        torch.zeros(2, device="cuda") + torch.ones(2)
