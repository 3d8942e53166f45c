"""Sweeps: the same training over losses, temperatures and seeds, one record a run, on every core or on a cluster."""

import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, closing
from pathlib import Path

from joblib import Parallel, cpu_count, delayed, parallel_config
from tqdm.std import tqdm

from . import cluster, runs
from .files import ensure_writable
from .plans import Plan, plans
from .runs import Outcome
from .train import pick_device

CHANCES = 3  # how often a run may be cut off by the death of its process before it counts as failed


class RunsFailed(RuntimeError):
    """Some runs of a sweep failed; the message names each and says why."""


def run_sweep(
    profile: str,
    book: Path | None = None,
    jobs: int | None = None,
    *,
    root: Path | None = None,
    dask: str | None = None,
) -> list[Path]:
    """Do every run of the profile that has no record yet, and return the paths of all its records.

    jobs: how many runs at a time, each in a single-threaded process; by default as default_jobs says. book, root: see
    plans.plans. dask: address of the scheduler of a Dask cluster, which then does the runs instead.
    A finished run is skipped, and a killed one goes on from its last epoch. A run that another sweep is at is left to
    it, and done here if that sweep ends without it. Raises RunsFailed, after all others are done, for runs that failed.
    """
    todo = plans(profile, book, root)
    ensure_writable(todo[0].record.parent)
    left = [plan for plan in todo if not plan.is_recorded()]
    # The data is fetched once, before many processes could ask for it at the same time.
    for split in ("train", "test") if left else ():
        left[0].load(split)
    jobs = jobs or default_jobs()
    start, ended = time.perf_counter(), []
    with _workers(left, dask), tqdm(total=len(todo), initial=len(todo) - len(left), **_bar(profile)) as bar:
        for outcome in _outcomes(left, jobs):
            bar.write(f"{outcome.name}: {outcome.text}")
            bar.update()
            ended.append(outcome)
    print(summary(len(todo), ended, time.perf_counter() - start), flush=True)
    if failed := [f"{outcome.name}: {outcome.text}" for outcome in ended if outcome.end == "failed"]:
        raise RunsFailed("these runs failed, the others are recorded:\n" + "\n".join(failed))
    return [plan.record for plan in todo]


def default_jobs() -> int:
    """One run at a time on a GPU, else one a core: of those that Slurm or a container leaves to this process."""
    return cpu_count() if pick_device().type == "cpu" else 1


def summary(runs: int, ended: Sequence[Outcome], seconds: float) -> str:
    """What a sweep of so many runs did, in one line. An image counts once an epoch, not once a view."""
    done, failed = (sum(outcome.end == end for outcome in ended) for end in ("done", "failed"))
    images = sum(outcome.images for outcome in ended)
    return (
        f"{done} of {runs} runs done in {seconds / 60:.1f} minutes, {images / seconds:,.0f} images/s; "
        f"{runs - done - failed} were recorded already, {failed} failed"
    )


def _bar(profile: str) -> dict[str, object]:
    return {"unit": "run", "desc": profile, "smoothing": 0}  # the time left follows from the mean of all runs


def _workers(left: Sequence[Plan], dask: str | None) -> AbstractContextManager:
    if dask is not None and left:
        return cluster.connected(dask, left[0])
    return parallel_config("loky", inner_max_num_threads=1)


def _outcomes(left: Sequence[Plan], jobs: int) -> Iterator[Outcome]:
    """How each run ends, as soon as it does; all runs are tried, in rounds.

    The next round holds the runs that were cut off because the process of one of them died, and those that another
    sweep was at. A run that may have one more chance has it alone, so that its neighbours cannot be what kills it.
    """
    left = {plan.name: plan for plan in left}
    elsewhere: set[str] = set()
    cut: Counter[str] = Counter()
    while left:
        names, wait = _round(left, elsewhere, cut)
        waiting = list(names)
        tasks = (delayed(runs.attempt)(left[name], wait, os.getpid()) for name in names)
        try:
            with closing(_parallel(jobs)(tasks)) as outcomes:
                for outcome in outcomes:
                    waiting.remove(outcome.name)
                    if outcome.end == "elsewhere":
                        elsewhere.add(outcome.name)
                    elif outcome.end == "died":
                        cut[outcome.name] += CHANCES - 1  # Dask has tried it several times already
                    else:
                        del left[outcome.name]
                        yield outcome
        except BrokenProcessPool:
            # Runs start in their order, so those that were under way are the first without an outcome.
            cut.update(waiting[:jobs])
        for name in [name for name in left if cut[name] >= CHANCES]:
            del left[name]
            yield Outcome(name, "failed", "its process died again and again; was there enough memory?")


def _parallel(jobs: int) -> Parallel:
    return Parallel(n_jobs=jobs, batch_size=1, pre_dispatch="all", return_as="generator_unordered")


def _round(left: Iterable[str], elsewhere: set[str], cut: Counter[str]) -> tuple[list[str], bool]:
    """The runs to try next, and whether to wait for those that another sweep is at."""
    free = [name for name in left if name not in elsewhere]
    names = free or list(left)
    return [name for name in names if cut[name] < CHANCES - 1] or names[:1], not free
