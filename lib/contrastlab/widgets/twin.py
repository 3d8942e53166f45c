"""The static twin of an interactive figure: what a page without a kernel holds, and mount.js brings to life."""

import html
import json


def figure_twin(module: str, state: dict[str, object], still: str) -> str:
    """HTML that names the figure's ES module, carries the model's state and shows a still picture until it is mounted.

    The same state gives the same bytes, so a committed notebook does not change when it is executed again.
    """
    model = html.escape(json.dumps(state, separators=(",", ":"), allow_nan=False))
    return f'<div class="contrastlab-figure" data-module="{html.escape(module)}" data-model="{model}">{still}</div>'
