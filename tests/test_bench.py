"""What must be faster or smaller than what on any machine, as ratios; and the benchmark's own rules."""

import json
import os
import subprocess
import sys
from dataclasses import replace

import pytest
import torch
from PIL import Image
from torchvision import transforms

from contrastlab import bench, cli, jobs, manifest, plans, views
from contrastlab.bench import book as of_the_book
from contrastlab.bench import loss, measure, memory, metrics, step, table
from contrastlab.bench import views as pipelines


@pytest.fixture
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TestRatios:
    """CPU seconds of one thread, medians of turns. The margins are wide: the measured ratios are far better."""

    def test_the_tiled_loss_takes_half_the_time_of_cross_entropy_for_4096_images(self, one_thread):
        z0, z1 = loss.features(4096)
        variants = {name: loss.ours()[name] for name in ("tiled", "cross-entropy")}
        steps = {name: lambda loss=loss: loss(z0, z1).backward() for name, loss in variants.items()}
        seconds = measure.interleaved(steps, 3)
        assert seconds["tiled"] < 0.5 * seconds["cross-entropy"]

    def test_the_tiled_loss_needs_a_twentieth_of_the_memory_of_the_plain_one(self):
        tiled, plain = (memory.rise(name, 2048) for name in ("tiled", "plain"))
        assert plain > 3 * 4 * 4096**2 / 1e6  # three matrices at least: the measurement sees them
        assert tiled < 0.05 * plain

    def test_a_batch_of_views_takes_a_fifth_of_the_time_of_transforms_one_by_one(self, one_thread):
        images, recipe = pipelines.some_images(128), views.Recipe()
        mean = std = torch.tensor(pipelines.MEAN)
        jitter = transforms.ColorJitter(recipe.brightness, recipe.contrast, recipe.saturation, recipe.hue)
        one_by_one = transforms.Compose([
            transforms.RandomResizedCrop(pipelines.SIDE),
            transforms.RandomHorizontalFlip(),
            transforms.RandomApply([jitter], recipe.jitter),
            transforms.RandomGrayscale(recipe.grey),
            transforms.ToTensor(),
            transforms.Normalize(pipelines.MEAN, pipelines.STD),
        ])  # fmt: skip
        photographs = [Image.fromarray(image.permute(1, 2, 0).numpy()) for image in images]
        variants = {
            "batched": lambda: views.augment(images, mean, std),
            "one by one": lambda: [one_by_one(image) for image in photographs],
        }
        seconds = measure.interleaved(variants, 5)
        assert seconds["batched"] < 0.2 * seconds["one by one"]


class TestRules:
    def test_variants_take_turns_and_their_medians_are_compared(self):
        now, turns = [0.0], []
        durations = {"slow": iter([9.0, 8.0, 100.0]), "quick": iter([2.0, 3.0, 4.0])}

        def variant(name):
            turns.append(name)
            now[0] += next(durations[name])

        seconds = measure.interleaved(
            {name: lambda name=name: variant(name) for name in durations}, 3, clock=lambda: now[0]
        )
        assert turns == ["slow", "quick"] * 3
        assert seconds == {"slow": 9.0, "quick": 3.0}

    @pytest.mark.parametrize(("unit", "better"), [(measure.MS, 3.0), (measure.MB, 3.0), (measure.RATE, 1 / 3)])
    def test_better_is_less_time_less_memory_and_more_views(self, unit, better):
        ours, other = measure.compare("loss", "N = 2", unit, {"ours": 2.0, "other": 6.0}, "ours")
        assert (ours.ours, other.ours) == (1.0, pytest.approx(better))

    def test_workers_that_have_ended_count(self):
        before = measure.with_workers()
        subprocess.run([sys.executable, "-c", "sum(range(10**7))"], check=True)
        assert measure.with_workers() - before > 0.03

    def test_a_loss_that_is_another_one_is_not_timed(self):
        losses = loss.ours()
        loss.check_agreement(losses)
        wrong = losses | {"wrong": lambda z0, z1: losses["plain"](z0, z1) * 1.01}
        with pytest.raises(ValueError, match="wrong computes another loss than cross-entropy: its gradient is off by"):
            loss.check_agreement(wrong)

    def test_a_loss_that_does_not_fit_is_left_out(self, monkeypatch):
        monkeypatch.setattr(loss, "free_memory", lambda: 1e9)
        names = loss._variants(loss.ours(), 8192).keys()
        assert "tiled" in names and not names & {"plain", "cross-entropy"}

    def test_the_table_says_what_was_measured(self):
        row = measure.Row("loss", "N = 256", "tiled", 1234.5, measure.MS, 0.5)
        first, line, second = table.of([row, replace(row, value=0.01234, ours=None)]).splitlines()[1:]
        assert set(first) == {"|", "-"}
        assert [cell.strip() for cell in line.split("|")[2:6]] == ["N = 256", "tiled", "1,234 ms", "0.5 x"]
        assert [cell.strip() for cell in second.split("|")[4:6]] == ["0.0123 ms", ""]

    def test_pipelines_make_two_views_of_every_image(self):
        for name in (pipelines.OURS, pipelines.TORCHVISION):
            batches = list(pipelines.pipelines()[name](pipelines.some_images(300)))
            assert [len(x0) for x0, _ in batches] == [256, 44]
            assert all(x0.shape == x1.shape and not torch.equal(x0, x1) for x0, x1 in batches)

    def test_the_peers_compute_the_same_loss(self):
        pytest.importorskip("lightly", reason="the benchmark's peers are not installed; `make bench` installs them")
        loss.check_agreement(loss.ours() | loss.peers())

    def test_a_sweep_is_projected_from_its_training_and_evaluation(self, monkeypatch, one_thread):
        monkeypatch.setattr(of_the_book, "QUICK_IMAGES", 256)
        book = manifest.load()
        rate, evaluation, minutes = [row.value for row in of_the_book.sweep(book, quick=True)][:3]
        todo = plans.plans(of_the_book.PROFILE, book.root)
        seconds = sum(plan.config.epochs * 256 / rate + evaluation for plan in todo)
        assert minutes == pytest.approx(seconds / os.cpu_count() / 60) and evaluation > 0.01

    def test_the_loop_around_the_peers_trains_this_books_encoder(self, monkeypatch):
        built = []
        build = step.encoders.build
        monkeypatch.setattr(step.encoders, "build", lambda *a, **k: built.append(build(*a, **k)) or built[-1])
        images = pipelines.some_images(8)
        step._loop(iter([(images / 255.0, images / 255.0)]), loss.ours()["plain"])
        fresh = build(step.CONFIG.encoder, 3, step.CONFIG.dim, step.CONFIG.width, seed=0)
        assert not torch.equal(built[0].projection.weight, fresh.projection.weight)


class TestCommand:
    def test_measures_a_part_and_keeps_table_and_numbers(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(metrics, "QUICK_POINTS", 500)
        path = bench.run(manifest.load(), ["metrics"], True, tmp_path)
        content = json.loads((tmp_path / "bench.json").read_text())
        assert {row["part"] for row in content["rows"]} == {"metrics"} and content["quick"] is True
        assert content["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
        assert "tolerance" in path.read_text() and "tolerance" in capsys.readouterr().out

    def test_names_its_parts_and_what_is_not_installed(self, monkeypatch, capsys):
        with pytest.raises(SystemExit):
            cli.main(["bench", "--only", "losses"])
        assert "choose from loss, memory, views, step, metrics, sweep, notebooks" in capsys.readouterr().err.replace(
            "'", ""
        )
        monkeypatch.setattr(bench, "PEERS", ("a_peer_of_nobody",))
        with pytest.raises(jobs.JobFailed, match="a_peer_of_nobody is not installed. Run `make bench`"):
            jobs.bench(manifest.load(), ["loss"], quick=True)
