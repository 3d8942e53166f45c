"""The training loop: learns, repeats itself, goes on after a kill, and refuses what cannot work."""

import math
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode

from contrastlab import checkpoints, data, encoders, evaluate, views
from contrastlab import train as training
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


def test_only_a_restart_minds_that_a_damaged_checkpoint_was_set_aside(images, tmp_path, monkeypatch):
    """Whoever starts a run again by hand has read the message; a launcher has not."""
    path, aside = tmp_path / "run.safetensors", tmp_path / "run.safetensors.damaged"
    path.write_bytes(b"damaged")
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    with pytest.raises(checkpoints.DamagedCheckpoint, match="set aside as"):
        train(TINY, images, device="cpu", checkpoint=path, progress=False)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    with pytest.raises(
        checkpoints.DamagedCheckpoint, match=r"no checkpoint .*safetensors\.damaged.* move that file away"
    ):
        train(TINY, images, device="cpu", checkpoint=path, progress=False)
    assert not path.exists()
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "0")
    train(TINY, images, device="cpu", checkpoint=path, progress=False)
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    assert len(train(TINY, images, device="cpu", checkpoint=path, progress=False).history) == TINY.epochs
    path.unlink()
    aside.rename(tmp_path / "elsewhere")
    train(TINY, images, device="cpu", checkpoint=path, progress=False)
    assert path.exists()


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


@pytest.mark.parametrize("mapped", [True, False])
def test_a_mapped_set_stays_on_the_disk_and_its_batches_go_to_the_gpu(monkeypatch, mapped):
    """A step of training on a pretended GPU, where all else is. Autograd would ask for a real one, so it is left out.

    A real GPU also refuses an index that lies on it where the images do not, which the pretended one lets pass.
    """
    device = torch.device("cuda")
    build, looked_up = encoders.build, []

    class Watched(TorchFunctionMode):
        """Notes where images are looked up. To replace Tensor.__getitem__ would leave its traces in the class."""

        def __torch_function__(self, function, types, arguments=(), options=None):
            if function is torch.Tensor.__getitem__ and arguments[0].dtype == torch.uint8:
                tensor, index = arguments
                if isinstance(index, torch.Tensor):
                    assert index.device == tensor.device
                    looked_up.append(tensor.device.type)
            return function(*arguments, **(options or {}))

    def built_there(*arguments, seed):
        with device:
            return build(*arguments)

    monkeypatch.setattr(encoders, "build", built_there)
    monkeypatch.setattr(torch.nn.Module, "to", lambda encoder, *place, **layout: encoder)
    monkeypatch.setattr(training, "fast_bfloat16", lambda device: False)
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: None)
    with FakeTensorMode(), Watched():
        pixels, labels = torch.zeros(40, 3, 32, 32, dtype=torch.uint8), torch.zeros(40, dtype=torch.int64)
        images = data.Images(pixels, labels, ("a",), "a", mapped).for_training_on(device)
        loss = training._Run(TINY, images, device, False)._step(torch.arange(8, device=device), None)
    assert loss.device.type == "cuda"
    assert images.mapped is mapped
    assert looked_up == [images.images.device.type] == ["cpu" if mapped else "cuda"]


def test_training_moves_a_set_once_and_a_mapped_one_never(images, monkeypatch):
    moved = []
    monkeypatch.setattr(data.Images, "to", lambda images, device: moved.append(images.mapped) or images)
    plain, mapped = (
        train(TINY, replace(images, mapped=mapped), device="cpu", progress=False) for mapped in (False, True)
    )
    assert moved == [False]
    assert torch.equal(weights(plain), weights(mapped))


def test_the_pretended_gpu_does_catch_a_tensor_on_the_cpu():
    with FakeTensorMode(), pytest.raises(Exception, match="device"):
        torch.zeros(2, device="cuda") + torch.ones(2)
