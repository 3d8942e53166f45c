"""How well a colour is read on another, for tests of pages and of figures."""

import numpy as np

GROUNDS = {"light": "#ffffff", "dark": "#121212"}  # of the book's pages


def on_both_grounds(colour: str) -> float:
    """The lower of the contrast ratios of a colour "#rrggbb" on a light and on a dark page of the book."""
    return min(contrast(rgb(colour), rgb(ground)) for ground in GROUNDS.values())


def rgb(colour: str) -> list[int]:
    return list(bytes.fromhex(colour.removeprefix("#")))


def contrast(ink: list[float], paper: list[float]) -> float:
    """The contrast ratio of two sRGB colours as WCAG 2 defines it, 1 to 21."""
    channels = np.array([ink, paper]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)
