"""How well a colour is read on another, for tests of pages and of figures."""

import numpy as np


def contrast(ink: list[float], paper: list[float]) -> float:
    """The contrast ratio of two sRGB colours as WCAG 2 defines it, 1 to 21."""
    channels = np.array([ink, paper]) / 255
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    dark, light = sorted(linear @ [0.2126, 0.7152, 0.0722])
    return (light + 0.05) / (dark + 0.05)
