"""Interactive figures: one ES module each, alive in Jupyter through anywidget and on the website through mount.js."""

from .temperature import TemperatureFigure

__all__ = ["TemperatureFigure"]
