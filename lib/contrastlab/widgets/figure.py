"""What every interactive figure is in Python: traits shared with one ES module, and a static twin for a page."""

import html
import json
import re
from pathlib import Path
from typing import ClassVar

import anywidget
import numpy as np
import traitlets

from ..checks import check_temperature
from ..figures import TAU_COLDEST, TAU_WARMEST, tau_colour

_COLOUR_STOPS = 24
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./(\w+\.mjs)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def module_source(name: str, _inlined: set[str] | None = None) -> str:
    """The text of an ES module of this folder with the modules that it imports put in the place of their imports.

    Jupyter loads a figure's module from memory, where a relative import leads nowhere. A module that several import is
    put in once.
    """
    inlined = set() if _inlined is None else _inlined

    def inline(found: re.Match) -> str:
        if found[1] in inlined:
            return ""
        inlined.add(found[1])
        return _EXPORT.sub("", module_source(found[1], inlined))

    return _IMPORT.sub(inline, Path(__file__).with_name(name).read_text(encoding="utf-8"))


def colour_stops() -> list[list[float | str]]:
    """Pairs of a temperature and its colour "#rrggbb" over the book's range, for tauColour of common.mjs."""
    stops = np.geomspace(TAU_COLDEST, TAU_WARMEST, _COLOUR_STOPS)
    return [[float(f"{tau:.4g}"), tau_colour(tau)] for tau in stops]


class Floats(traitlets.List):
    """A list of numbers that also takes a tensor or an array, so that `similarities=s_neg[0]` works."""

    def validate(self, owner: object, value: object) -> object:
        return super().validate(owner, value.tolist() if hasattr(value, "tolist") else value)


class Temperature(traitlets.Float):
    """A finite number > 0. Raises ValueError for another."""

    def validate(self, owner: object, value: object) -> float:
        tau = super().validate(owner, value)
        check_temperature(tau)
        return tau


class InteractiveFigure(anywidget.AnyWidget):
    """A figure whose traits in STATE live in the browser too, drawn there by the ES module MODULE of this folder.

    A subclass names both and draws `still`.
    """

    MODULE: ClassVar[str]
    STATE: ClassVar[tuple[str, ...]]

    colours = traitlets.List(read_only=True).tag(sync=True)

    def __init_subclass__(cls, **options: object) -> None:
        if "MODULE" in vars(cls):  # not in the class that a trait added to one figure makes of it
            cls._esm = module_source(cls.MODULE)
        super().__init_subclass__(**options)

    @traitlets.default("colours")
    def _colours(self) -> list[list[float | str]]:
        return colour_stops()

    def still(self) -> str:
        """HTML of a still picture with the figure's numbers as text, without ids or any other random part."""
        raise NotImplementedError

    def twin(self) -> str:
        """What a page without a kernel holds, and mount.js brings to life: module, state and a still picture.

        The same state gives the same bytes, so a committed notebook does not change when it is executed again.
        """
        state = {name: getattr(self, name) for name in (*self.STATE, "colours")}
        model = html.escape(json.dumps(state, separators=(",", ":"), allow_nan=False))
        return (
            f'<div class="contrastlab-figure" data-module="{html.escape(self.MODULE)}" data-model="{model}">'
            f"{self.still()}</div>"
        )

    def _repr_mimebundle_(self, **options: object) -> tuple[dict, dict]:
        data, metadata = super()._repr_mimebundle_(**options)
        return {**data, "text/html": self.twin()}, metadata
