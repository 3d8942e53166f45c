"""The figures' style: read by everyone, on a light page, turned on a dark one, and by the interactive figures."""

import numpy as np
import pytest
from matplotlib import pyplot as plt

from colour_contrast import contrast
from contrastlab import figures
from contrastlab.site.photographs import is_photograph

TEMPERATURES = (0.01, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 2.0)
WHITE, DARK_PAGE = [255, 255, 255], [18, 18, 18]

# What a colour, linear, becomes for who lacks one kind of cone: Machado, Oliveira & Fernandes (2009), severity 1.
VISION = {
    "usual": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
}
LMS = [[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
       [0.0883024619, 0.2817188376, 0.6299787005]]  # fmt: skip
LAB = [[0.2104542553, 0.793617785, -0.0040720468], [1.9779984951, -2.428592205, 0.4505937099],
       [0.0259040371, 0.7827717662, -0.808675766]]  # fmt: skip


def rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour.removeprefix("#")))


def seen(colour: str, vision: str) -> np.ndarray:
    """The colour in OKLab, where distances are what an eye sees; (3,)."""
    channels = np.array(rgb(colour)) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return np.array(LAB) @ np.cbrt(np.array(LMS) @ np.clip(np.array(VISION[vision]) @ linear, 0, 1))


@pytest.mark.parametrize("colour", [figures.INK, figures.MUTED, *map(figures.tau_colour, TEMPERATURES)])
def test_text_of_any_colour_of_the_book_is_read_on_white(colour):
    assert contrast(rgb(colour), WHITE) >= 4.5


@pytest.mark.parametrize("tau", TEMPERATURES)
def test_lines_of_interactive_figures_are_seen_on_the_dark_page(tau):
    assert contrast(rgb(figures.tau_colour(tau)), DARK_PAGE) >= 3


@pytest.mark.parametrize("vision", VISION)
def test_temperatures_are_told_apart_with_any_colour_vision(vision):
    places = np.array([seen(figures.tau_colour(tau), vision) for tau in (0.02, 0.07, 0.2, 0.7)])
    assert np.linalg.norm(np.diff(places, axis=0), axis=1).min() > 0.05  # an eye tells 0.02 apart
    assert np.linalg.norm(places[1] - places[3]) > 0.2


def test_equal_steps_in_log_tau_look_equal():
    places = np.array([seen(figures.tau_colour(tau), "usual") for tau in np.geomspace(0.01, 2, 13)])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.5


def test_sizes_on_the_page_are_those_of_the_interactive_figures():
    with plt.rc_context():
        figures.use_style()
        usual, *_ = plt.subplots(figsize=(8, 3))
        pixels = usual.get_figwidth() * 72 / 704  # points of one CSS pixel, once the page has fitted the figure
        assert plt.rcParams["font.size"] / pixels == pytest.approx(12)
        assert plt.rcParams["axes.titlesize"] / pixels == pytest.approx(13)
        assert plt.rcParams["lines.linewidth"] / pixels == pytest.approx(2)
        plt.close(usual)


def drawn(figure: plt.Figure) -> np.ndarray:
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba()) / 255
    plt.close(figure)
    return pixels


def test_a_plot_with_text_and_bands_is_no_photograph_and_a_grey_picture_is_one():
    with plt.rc_context():
        figures.use_style()
        plot, ax = figures.new("A title of some length", "temperature", "loss")
        figures.band(ax, np.arange(9), np.random.default_rng(0).normal(size=(5, 9)))
        picture, axes = plt.subplots(1, 4, figsize=(6.4, 2))
        for ax in axes:
            ax.imshow(np.random.default_rng(1).random((28, 28)), cmap="gray")
            ax.axis("off")
        assert not is_photograph(drawn(plot))
        assert is_photograph(drawn(picture))
