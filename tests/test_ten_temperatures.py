"""The figure of chapter 7 in Python: its data are the records', its numbers the library's, its file is small."""

import json
import re
import shutil
import struct
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.manifold import trustworthiness

import small_book
from colour_contrast import on_both_grounds
from contrastlab import data, geometry, manifest, records, site
from contrastlab.files import repository_root
from contrastlab.widgets import TenTemperaturesFigure
from contrastlab.widgets import ten_temperatures_data as figure_data

TAUS = (0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0)


@pytest.fixture(scope="module")
def shown() -> figure_data.Recorded:
    return figure_data.recorded()


@pytest.fixture(scope="module")
def embeddings() -> dict[float, np.ndarray]:
    """tau -> (2000, d) float64 of length 1, read without the figure's own reader."""
    profiles = {tau: "laptop" if tau in (0.07, 0.3, 0.7, 1.0) else "temperatures" for tau in TAUS}
    z = {tau: records.load_embeddings(profile, f"contrastive-tau{tau:g}-seed0")[0] for tau, profile in profiles.items()}
    return {
        tau: one.double().numpy() / np.linalg.norm(one.double().numpy(), axis=1, keepdims=True)
        for tau, one in z.items()
    }


class TestData:
    def test_the_temperatures_are_the_recorded_ones(self, shown):
        assert shown.temperatures == TAUS
        assert shown.labels.tolist() == data.load("fashion-mini", "test").labels[:600].tolist()
        assert np.bincount(shown.labels).tolist() == [60] * 10

    def test_neighbours_by_brute_force(self, shown, embeddings):
        for t, tau in enumerate(TAUS):
            z = embeddings[tau][:600]
            for image in (0, 95, 599):
                s = z @ z[image]
                s[image] = -np.inf
                nearest = np.argsort(-s, kind="stable")[:10]
                assert shown.neighbours[t, image].tolist() == nearest.tolist(), (tau, image)
                np.testing.assert_allclose(shown.similarities[t, image], s[nearest], atol=1e-12)

    def test_histograms_hold_every_pair_of_the_test_images_once(self, shown, embeddings):
        labels = data.load("fashion-mini", "test").labels.numpy()
        upper = np.triu(np.ones((2000, 2000), dtype=bool), k=1)
        one_class = labels[:, None] == labels
        assert (shown.same.sum(axis=1) == 10 * 200 * 199 // 2).all()
        assert (shown.different.sum(axis=1) == 2000 * 1999 // 2 - 199_000).all()
        for t in (0, 9):
            s = embeddings[TAUS[t]] @ embeddings[TAUS[t]].T
            for found, which in ((shown.same[t], upper & one_class), (shown.different[t], upper & ~one_class)):
                expected, _ = np.histogram(s[which], bins=50, range=(-1, 1 + 1e-9))
                assert np.abs(found - expected).sum() <= 4  # a similarity on the edge of two bins

    def test_mean_similarities_are_tolerance_and_what_the_class_gap_takes_from_it(self, shown, embeddings):
        labels = data.load("fashion-mini", "test").labels
        for t, tau in enumerate(TAUS):
            z = np.ascontiguousarray(embeddings[tau])
            same = geometry.tolerance(torch.from_numpy(z), labels)
            gap = geometry.class_gap(torch.from_numpy(z), labels)
            assert shown.means[t] == pytest.approx([same, same - gap], abs=1e-6)

    def test_measures_are_those_of_the_records(self, shown):
        root = repository_root() / "data" / "runs"
        for seed, t, profile in ((0, 0, "temperatures"), (2, 9, "laptop")):
            path = root / profile / f"contrastive-tau{TAUS[t]:g}-seed{seed}.json"
            metrics = json.loads(path.read_text())["metrics"]
            for name, rows in shown.measures.items():
                assert rows[seed, t] == metrics[name]

    def test_the_sprite_holds_the_test_images(self, shown, tmp_path):
        (tmp_path / "sprite.png").write_bytes(shown.sprite)
        sprite = np.asarray(Image.open(tmp_path / "sprite.png"))
        images = data.load("fashion-mini", "test").images
        for image in (0, 29, 30, 599):
            row, column = divmod(image, 30)
            found = sprite[28 * row : 28 * row + 28, 28 * column : 28 * column + 28]
            np.testing.assert_array_equal(found, images[image, 0])


class TestMaps:
    def test_a_map_keeps_who_is_near_whom(self, shown, embeddings):
        for t, tau in enumerate(TAUS):
            assert trustworthiness(embeddings[tau][:600], shown.maps[t], n_neighbors=10) > 0.98

    def test_maps_of_neighbours_are_aligned(self, shown):
        maps = shown.maps / 32767
        step = np.linalg.norm(np.diff(maps, axis=0), axis=2).mean(axis=1)  # (9,) of maps of radius about 0.6
        mirrored = np.linalg.norm(maps[1:] * (-1, 1) - maps[:-1], axis=2).mean(axis=1)
        assert step.max() < 0.3
        assert (step < mirrored / 2).all()
        assert np.abs(shown.maps).max() == 32767

    def test_maps_of_other_embeddings_are_refused(self, tmp_path):
        root = copy_of_records(tmp_path)
        with np.load(root / "data" / figure_data.MAPS) as arrays:
            maps, digests = arrays["maps"], arrays["digests"]
        np.savez(root / "data" / figure_data.MAPS, maps=maps, digests=digests[::-1])
        with pytest.raises(ValueError, match=r"maps of other embeddings .* python data/make_maps\.py"):
            figure_data.recorded(root)

    @pytest.mark.parametrize("form", ["disc", "ring"])
    def test_colours_of_classes_are_seen_on_both_pages_and_never_alone(self, form):
        colours = [colour for colour, other in figure_data.GLYPHS.values() if other == form]
        assert len(set(colours)) == 5
        for colour in colours:
            assert on_both_grounds(colour) >= 3, colour


def copy_of_records(folder: Path) -> Path:
    """A folder that holds the book's data as links, so that one of them can be taken away."""
    own = repository_root() / "data"
    for profile in figure_data.PROFILES:
        kept = folder / "data" / "runs" / profile / "embeddings"
        kept.mkdir(parents=True)
        for path in (own / "runs" / profile).glob("*.json"):
            (kept.parent / path.name).symlink_to(path)
        for path in (own / "runs" / profile / "embeddings").glob("*.npz"):
            (kept / path.name).symlink_to(path)
    shutil.copy(own / figure_data.MAPS, folder / "data")
    (folder / "data" / "fashion-mini.npz").symlink_to(own / "fashion-mini.npz")
    return folder


class TestMissing:
    def test_records_name_the_command_that_makes_them(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="contrastlab sweep --profile laptop"):
            figure_data.recorded(tmp_path)

    def test_embeddings_are_named_with_what_to_do(self, tmp_path):
        root = copy_of_records(tmp_path)
        (root / "data/runs/temperatures/embeddings/contrastive-tau0.1-seed0.npz").unlink()
        with pytest.raises(FileNotFoundError, match=r"no embeddings .*tau0\.1-seed0.* git checkout -- data/runs"):
            figure_data.recorded(root)

    def test_maps_name_the_command_that_makes_them(self, tmp_path):
        root = copy_of_records(tmp_path)
        (root / "data" / figure_data.MAPS).unlink()
        with pytest.raises(FileNotFoundError, match=r"python data/make_maps\.py"):
            figure_data.recorded(root)


class TestFile:
    def test_it_is_light_and_the_same_bytes_each_time(self):
        first, second = map(
            figure_data.to_bytes, (figure_data.compute.__wrapped__(repository_root()), figure_data.recorded())
        )
        assert first == second == figure_data.recorded_bytes()
        assert len(first) < 700_000

    def test_it_holds_what_was_computed(self, shown):
        content = figure_data.recorded_bytes()
        (length,) = struct.unpack_from("<I", content)
        header, body = json.loads(content[4 : 4 + length]), content[4 + length :]
        start, size = header["places"]["similarities"]
        similarities = np.frombuffer(body, "<i2", size, start).reshape(10, 600, 10) / 32767
        np.testing.assert_allclose(similarities, shown.similarities, atol=1.6e-5)
        start, size = header["places"]["sprite"]
        assert body[start : start + size] == shown.sprite
        assert length % 4 == 0
        assert header["same"] == shown.same.tolist()

    def test_the_site_has_it_where_a_chapter_shows_the_figure_and_only_there(self, tmp_path):
        book = manifest.load()
        site.stage(book, book.folder, tmp_path / "whole")
        written = tmp_path / "whole" / "_static" / "figures" / "ten-temperatures.bin"
        assert written.read_bytes() == figure_data.recorded_bytes()
        small = manifest.load(small_book.write(tmp_path / "small"))
        for chapter in small.chapters:
            (small.folder / f"{chapter.file}.ipynb").write_text("{}")
        site.stage(small, small.folder, tmp_path / "without")
        assert not (tmp_path / "without" / "_static" / "figures").exists()

    def test_all_of_data_stays_below_20_megabytes(self):
        folder = repository_root() / "data"
        own = [path for path in folder.rglob("*") if path.is_file() and "downloads" not in path.parts]
        assert sum(path.stat().st_size for path in own) < 20_000_000


class TestFigure:
    def test_numbers(self, shown):
        figure = TenTemperaturesFigure(tau=0.15, image=95)
        assert [one.image for one in figure.neighbours] == shown.neighbours[4, 95].tolist()
        kinds = [one.kind for one in figure.neighbours]
        assert kinds.count("Bag") == figure.own_class == 7
        assert figure.neighbours[0].similarity == pytest.approx(0.922, abs=5e-4)
        assert figure.tolerance.low < figure.tolerance.mean < figure.tolerance.high
        rows = records.table(records.load(*figure_data.PROFILES), "linear_accuracy")[1]
        column = rows[:, TAUS.index(0.15)]
        assert tuple(figure.linear_accuracy) == pytest.approx((column.mean(), column.min(), column.max()))

    def test_the_task_is_open_at_first_and_one_temperature_alone_solves_it(self):
        figure = TenTemperaturesFigure()
        assert not figure.reached
        solving = []
        for tau in TAUS:
            figure.set_state({"tau": tau})  # as the browser does
            solving += [tau] if figure.reached else []
        assert solving == [0.15]

    def test_what_chapter_7_says_of_the_bag_and_of_all_images(self, shown):
        own = (shown.labels[shown.neighbours] == shown.labels[:, None]).sum(axis=2)  # (T, n)
        ends, middle = [0, 9], 4
        assert shown.classes[shown.labels[95]] == "Bag"
        assert own[ends, 95].tolist() == [0, 0]
        assert (shown.similarities[ends, 95] > shown.similarities[middle, 95]).all()  # rank by rank
        tolerance = shown.measures["tolerance"].mean(axis=0)
        assert (tolerance[ends] > tolerance[middle]).all()
        assert (own[ends].mean(axis=1) < own[middle].mean()).all()

    @pytest.mark.parametrize("tau", [0.04, 0, -1, float("nan")])
    def test_another_temperature(self, tau):
        figure = TenTemperaturesFigure()
        with pytest.raises(ValueError, match=r"recorded temperatures, 0\.03, 0\.05, .* 0\.7, 1; got"):
            figure.tau = tau
        assert figure.tau == 1.0

    @pytest.mark.parametrize("image", [-1, 600])
    def test_an_image_that_is_not_on_the_map(self, image):
        with pytest.raises(ValueError, match=f"from 0 to 599, got {image}"):
            TenTemperaturesFigure(image=image)


class Reader(HTMLParser):
    """Whether every tag of a twin is closed in order, and its text."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.open, self.text, self.names = [], [], set()
        self.feed(markup)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.names.update(name for name, _ in attributes)
        self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.text.append(text)


class TestStillPicture:
    @pytest.fixture
    def markup(self):
        return TenTemperaturesFigure()._repr_mimebundle_()[0]["text/html"]

    def test_it_is_small_whole_and_the_same_bytes_each_time(self, markup):
        figure = TenTemperaturesFigure()
        again, _ = figure._repr_mimebundle_()
        assert again["text/html"] == markup
        assert again["text/plain"] == "TenTemperaturesFigure(tau=1, image=95)"
        assert len(markup) < 150_000
        assert not Reader(markup).open
        assert "id" not in Reader(markup).names
        assert "data:" not in markup  # the notebook carries no data

    def test_it_says_its_numbers(self, markup):
        text = " ".join(Reader(markup).text)
        for part in (
            "τ = 0.03",
            "τ = 0.15",
            "uniformity 2.08 (2.03 to 2.17)",
            "linear accuracy 80.91 (80.40 to 81.55)",
        ):
            assert part in text
        svg = ElementTree.fromstring(re.search(r"<svg.*</svg>", markup)[0])
        assert "Maps of 600 test images by class at the temperatures 0.03, 0.15 and 1." in svg.get("aria-label")

    def test_it_draws_every_image_three_times_within_its_frame(self, markup):
        _, _, width, height = map(int, re.search(r'viewBox="(\d+) (\d+) (\d+) (\d+)"', markup).groups())
        discs = re.findall(r"M([\d.]+) ([\d.]+)h0", markup)
        rings = re.findall(r"M([\d.]+) ([\d.]+)a1\.8", markup)
        assert len(discs) == len(rings) == 3 * 300 + 5  # and the legend's
        assert all(0 <= float(x) <= width and 0 <= float(y) <= height for x, y in discs + rings)
