"""How much work of a processor a figure in the browser takes, how much it may take on this machine, what it holds."""

import itertools
import json

import numpy as np

REFERENCE = 7.0  # ms that the processor to which the bounds belong takes for A_MILLION_EXPONENTIALS, the best of nine
A_MILLION_EXPONENTIALS = """() => {
  const times = Array.from({ length: 9 }, () => {
    const start = performance.now();
    let sum = 0;
    for (let i = 0; i < 1e6; i++) sum += Math.exp(-(i % 100) / 50);
    return sum ? performance.now() - start : Infinity;
  });
  return Math.min(...times);
}"""
CATEGORIES = ["devtools.timeline", "disabled-by-default-devtools.timeline"]  # of Chromium's trace
# Until the figures have drawn what was asked of them: also what they put off by a frame or two, or glide to.
DRAWN = """async () => {
  const frame = () => new Promise((resolve) => { requestAnimationFrame(() => setTimeout(resolve)); });
  do await frame(); while (document.querySelector('[data-moving="true"]'));
}"""


def allowed_here(page, ms: float) -> float:
    """So many ms on the REFERENCE processor are this many here: more on a slower one, no fewer on a faster one."""
    return ms * max(1.0, page.evaluate(A_MILLION_EXPONENTIALS) / REFERENCE)


def frames_of(trace: bytes, event: str, clock: str) -> list[np.ndarray]:
    """ms of the page's main thread from each event on, in each frame until the next: script, style, layout, paint.

    trace: Chromium's. event: a type of the DOM's, such as "keydown". clock: "dur", by the clock on the wall, or "tdur",
    the processor's time for this thread. Returns an array of frames for each event; what follows the last one of them
    is its last entry.
    """
    events = json.loads(trace)["traceEvents"]
    moves = [each for each in events if each["name"] == "EventDispatch"]
    moves = [each for each in moves if each["args"].get("data", {}).get("type") == event]
    thread = moves[0]["pid"], moves[0]["tid"]
    mine = [each for each in events if (each["pid"], each["tid"]) == thread]
    tasks = [each for each in mine if each["name"] == "RunTask" and "tdur" in each]
    starts, lengths = np.array([[task["ts"], task["dur"]] for task in tasks]).T
    ends, work = starts + lengths, np.array([task[clock] for task in tasks]) / 1000
    commits = np.sort([each["ts"] for each in mine if each["name"] == "Commit"])
    at = np.array([*(each["ts"] for each in moves), np.inf])
    found = []
    for move, following in itertools.pairwise(at):
        own = (ends > move) & (ends <= following)
        frame = np.searchsorted(commits[(commits > move) & (commits < following)], starts[own])
        found.append(np.bincount(frame, weights=work[own]))
    return found


def held(session) -> dict[str, float]:
    """What a page holds once garbage is collected. session: of Chromium's protocol."""
    for _ in range(3):
        session.send("HeapProfiler.collectGarbage")
    metrics = {metric["name"]: metric["value"] for metric in session.send("Performance.getMetrics")["metrics"]}
    return {name: metrics[name] for name in ("Nodes", "JSEventListeners", "JSHeapUsedSize")}
