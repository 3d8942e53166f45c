"""Interactive figures: one ES module each, alive in Jupyter through anywidget and on the website through mount.js."""

from .anatomy import AnatomyFigure
from .temperature import TemperatureFigure
from .ten_temperatures import TenTemperaturesFigure
from .training_panel import TrainingPanel
from .world import WorldFigure

__all__ = ["AnatomyFigure", "TemperatureFigure", "TenTemperaturesFigure", "TrainingPanel", "WorldFigure"]
