"""What must be faster or smaller than what on any machine, as ratios; and the benchmark's own rules."""

import itertools
import json
import multiprocessing
import os
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from PIL import Image
from torch.utils.data import Dataset
from torchvision import transforms

import small_book
from contrastlab import bench, cli, jobs, manifest, notebooks, plans, views
from contrastlab.bench import book as of_the_book
from contrastlab.bench import loss, measure, memory, metrics, step, table, targets
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
        work = "import time\nwhile time.process_time() < 0.3: pass\nprint(time.process_time())"
        before = measure.with_workers()
        done = subprocess.run([sys.executable, "-c", work], check=True, capture_output=True, text=True)
        assert measure.with_workers() - before > 0.8 * float(done.stdout)

    @pytest.mark.skipif(sys.platform != "linux", reason="workers are started by other means there")
    def test_workers_are_children_of_this_process_whatever_python_starts_by_default(self):
        before = multiprocessing.get_start_method()
        multiprocessing.set_start_method("forkserver", force=True)
        try:
            (parents,) = pipelines._loader(Parents())
        finally:
            multiprocessing.set_start_method(before, force=True)
        assert set(parents.tolist()) == {os.getpid()}

    def test_a_loss_that_is_another_one_is_not_timed(self):
        losses = loss.ours()
        loss.check_agreement(losses)
        wrong = losses | {"wrong": lambda z0, z1: losses["plain"](z0, z1) * 1.01}
        with pytest.raises(ValueError, match="wrong computes another loss than cross-entropy: its gradient is off by"):
            loss.check_agreement(wrong)

    def test_a_loss_that_does_not_fit_is_left_out_and_says_what_it_needs(self, monkeypatch):
        monkeypatch.setattr(loss, "free_memory", lambda: 1e9)
        variants, needed = loss._variants(loss.ours(), 8192)
        assert loss.OURS in variants and set(needed) == {"plain", "cross-entropy"}
        rows = measure.too_large("loss", "N = 8,192", measure.MS, needed | {"larger": 1.37e11})
        assert [row.left_out for row in rows] == [f"left out, needs {size} GB" for size in ("6.4", "3.8", "137")]
        assert "left out, needs 6.4 GB" in table.of(rows)

    def test_a_peer_that_was_measured_at_11_and_a_half_gb_runs_where_16_and_a_half_are_free(self, monkeypatch):
        name = "pytorch-metric-learning SupConLoss"
        assert 11.5e9 < loss.needs(name, 8192) < 13.2e9
        for free, fits in ((1.65e10, True), (1.5e10, False)):
            monkeypatch.setattr(loss, "free_memory", lambda free=free: free)
            assert loss.fits(name, 8192) is fits

    def test_the_cubic_peer_fits_for_256_images_only(self, monkeypatch):
        monkeypatch.setattr(loss, "free_memory", lambda: 2e10)
        assert [n for n in loss.ROUNDS if loss.fits(loss.CUBIC, n)] == [256]

    def test_the_harder_ways_are_the_same_loss_and_reach_the_learned_temperature(self):
        small, learned = loss.harder().values()
        loss.check_agreement(loss.ours() | {"learned tau": learned})
        z0, z1 = loss.features(16)
        torch.testing.assert_close(small(z0, z1), loss.tiled_contrastive_loss(z0, z1, loss.SMALL_TAU))
        assert learned(z0, z1).requires_grad and not torch.equal(small(z0, z1), learned(z0, z1))

    @pytest.mark.skipif(not memory.RESET_PEAK.exists(), reason="only Linux lets a process forget its peak")
    def test_the_rise_counts_from_what_a_process_holds_and_not_from_an_earlier_peak(self):
        code = (
            "import torch\n"
            "from contrastlab.bench import memory\n"
            "del (earlier := [torch.ones(50_000_000)])[:]\n"
            "kept = torch.ones(20_000_000)\n"
            "print(memory.rise_here(lambda: torch.ones(10_000_000)))"
        )
        done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
        assert float(done.stdout) == pytest.approx(40, rel=0.1)  # MB: four bytes a number, and some pages

    def test_the_memory_of_a_whole_training_goes_with_its_batch(self):
        small, large = (memory.rise(memory.TRAINING, images) for images in (64, 256))
        assert large > 2 * small > 0

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
        value = {row.variant: row.value for row in of_the_book.sweep(book, quick=True)}
        todo = plans.plans(of_the_book.PROFILE, book.root)
        of_all = len(todo[0].load("train").images)
        assert of_all > 256  # the quick way looks at fewer, and still projects the whole
        training = [plan.config.epochs * of_all / value[f"training, {plan.config.loss}"] for plan in todo]
        seconds = (sum(training) + len(todo) * value["evaluation of a run"]) / of_the_book.default_jobs()
        assert value[of_the_book.PROJECTION] == pytest.approx(seconds / 60)
        images = sum(plan.config.epochs * of_all for plan in todo)
        assert value["whole profile, with evaluations"] == pytest.approx(images / seconds)

    def test_a_chapter_has_cpu_and_wall_seconds(self, monkeypatch, tmp_path):
        cpu, wall = [5.0], [100.0]

        def execute(sources, folder, report):
            cpu[0] += 2.0
            wall[0] += 7.0

        monkeypatch.setattr(notebooks, "execute", execute)
        monkeypatch.setattr(of_the_book, "with_workers", lambda: cpu[0])
        monkeypatch.setattr(of_the_book, "time", SimpleNamespace(perf_counter=lambda: wall[0]))
        book = manifest.load(small_book.write(tmp_path))
        found = [(row.setting, row.variant, row.value) for row in of_the_book.notebooks(book, tmp_path)]
        expected = [(c.file, *each) for c in book.chapters for each in (("run", 2.0), ("run, wall clock", 7.0))]
        assert found == expected

    def test_the_loop_around_the_peers_trains_this_books_encoder(self, monkeypatch):
        built = []
        build = step.encoders.build
        monkeypatch.setattr(step.encoders, "build", lambda *a, **k: built.append(build(*a, **k)) or built[-1])
        images = pipelines.some_images(8)
        step._loop(lambda: [(images / 255.0, images / 255.0)], loss.ours()["plain"])
        fresh = build(step.CONFIG.encoder, 3, step.CONFIG.dim, step.CONFIG.width, seed=0)
        assert not torch.equal(built[0].projection.weight, fresh.projection.weight)

    def test_what_happens_once_is_counted_for_nobody(self, monkeypatch, one_thread):
        """Building an encoder takes 1000 s of a clock that else ticks a second a look."""
        look, built = itertools.count(), []
        build = step.encoders.build
        monkeypatch.setattr(step.encoders, "build", lambda *a, **k: built.append(1) or build(*a, **k))
        monkeypatch.setattr(step, "with_workers", lambda: next(look) + 1000 * len(built))
        monkeypatch.setattr(loss, "peers", lambda: {"lightly": loss.ours()["plain"]})
        names = pipelines.pipelines()
        monkeypatch.setattr(pipelines, "pipelines", lambda: dict.fromkeys(names, pipelines.batched))
        images = pipelines.some_images(256)
        seconds = {name: epoch() for name, epoch in (step._ours(images) | step._peers(images)).items()}
        assert len(built) == len(seconds)
        assert set(seconds.values()) == {1}


def row_of(part, setting, variant, value, unit):
    return measure.Row(part, setting, variant, value, unit)


class TestTargets:
    N = "N = 4,096"
    ROWS = (
        row_of("loss", N, loss.OURS, 10.0, measure.MS),
        row_of("loss", N, loss.PRODUCTS, 8.0, measure.MS),
        row_of("loss", N, "cross-entropy", 39.0, measure.MS),
        row_of("loss", "N = 256", "lightly", 800.0, measure.MS),
        row_of("loss", N, "lightly", None, measure.MS),
        row_of("step", "a step", step.OURS, 300.0, measure.RATE),
        row_of("step", "a step", pipelines.TORCHVISION, 100.0, measure.RATE),
        row_of("sweep", "a profile", of_the_book.PROJECTION, 15.0, of_the_book.MINUTES),
    )

    def judged(self, part, matrix_units=True):
        return [(v.measured, v.verdict) for v in targets.judge(self.ROWS, [part], matrix_units)]

    def test_a_ratio_is_met_missed_or_not_measured(self):
        assert self.judged("loss") == [(1.25, "met"), (3.9, "MISSED"), (None, "not measured")]

    def test_a_step_is_asked_for_more_where_bfloat16_is_fast(self):
        assert self.judged("step", True) == [(3.0, "MISSED")]
        assert self.judged("step", False) == [(3.0, "met")]

    def test_a_number_that_just_reaches_its_limit_is_met(self):
        assert self.judged("sweep") == [(15.0, "met")]

    def test_the_table_sets_what_is_required_beside_what_was_measured(self):
        text = table.of_targets(targets.judge(self.ROWS, ["loss", "sweep"], True))
        lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()]
        assert lines[2] == ["loss", f"time of tiled / {loss.PRODUCTS}, N = 4,096", "at most 1.5", "1.25", "met"]
        assert lines[4][2:] == ["at least 8", "", "not measured"]
        assert lines[5] == ["sweep", of_the_book.PROJECTION, "at most 15 minutes", "15", "met"]
        assert table.of_targets([]) == ""

    def test_every_target_is_a_number_that_some_part_measures(self):
        """Its variants are among those that the parts time; settings are those of the large sizes."""
        known = {
            "loss": {*loss.ours(), loss.PRODUCTS, *loss.MATRICES},
            "memory": set(memory.LOSSES),
            "views": set(pipelines.pipelines()),
            "step": {step.OURS, *pipelines.pipelines()},
            "sweep": {of_the_book.PROJECTION},
        }
        settings = {f"N = {n:,}" for n in loss.ROUNDS} | {f"loss, N = {memory.LARGE:,}", None}
        for target in targets.targets(True):
            assert {target.variant, target.over} - {None} <= known[target.part]
            assert target.setting in settings


class Parents(Dataset):
    """The parent process of whoever reads it."""

    def __len__(self):
        return 4

    def __getitem__(self, index):
        return os.getppid()


class TestCommand:
    def test_measures_a_part_and_keeps_table_and_numbers(self, tmp_path, monkeypatch, capsys):
        monkeypatch.setattr(metrics, "QUICK_POINTS", 500)
        path = bench.run(manifest.load(), ["metrics"], True, tmp_path)
        content = json.loads((tmp_path / "bench.json").read_text())
        assert content["targets"] == []
        assert {row["part"] for row in content["rows"]} == {"metrics"} and content["quick"] is True
        assert content["machine"]["versions"]["torch"] == torch.__version__.split("+")[0]
        assert "tolerance" in path.read_text() and "tolerance" in capsys.readouterr().out

    def test_says_which_targets_are_met(self, tmp_path, monkeypatch, capsys):
        rows = [row_of("views", "small", pipelines.OURS, 90.0, measure.RATE)]
        rows += [row_of("views", "small", name, 5.0, measure.RATE) for name in (pipelines.TORCHVISION,)]
        monkeypatch.setattr(pipelines, "measure", lambda quick: rows)
        path = bench.run(manifest.load(), ["views"], True, tmp_path)
        met, unknown = json.loads((tmp_path / "bench.json").read_text())["targets"]
        assert (met["measured"], met["verdict"], unknown["verdict"]) == (18.0, "met", "not measured")
        for text in (path.read_text(), capsys.readouterr().out):
            assert "at least 15" in text and "not measured" in text

    def test_names_its_parts_and_what_is_not_installed(self, monkeypatch, capsys):
        with pytest.raises(SystemExit):
            cli.main(["bench", "--only", "losses"])
        assert "choose from loss, memory, views, step, metrics, sweep, notebooks" in capsys.readouterr().err.replace(
            "'", ""
        )
        monkeypatch.setattr(bench, "PEERS", ("a_peer_of_nobody",))
        with pytest.raises(jobs.JobFailed, match="a_peer_of_nobody is not installed. Run `make bench`"):
            jobs.bench(manifest.load(), ["loss"], quick=True)
