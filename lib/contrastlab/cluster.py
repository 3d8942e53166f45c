"""Runs on many machines: a Dask cluster that exists already, behind the same joblib that uses the cores of one."""

import importlib.util
import os
import tempfile
from asyncio import CancelledError
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from joblib import Parallel, parallel_config
from joblib.parallel import ParallelBackendBase

from . import data
from .files import ensure_writable
from .plans import Plan
from .runs import Outcome

if TYPE_CHECKING:
    from distributed import Client

PATIENCE = 20  # seconds for a scheduler to answer, and for its first worker to join


class ClusterError(RuntimeError):
    """The cluster cannot do the runs; the message says what it lacks."""


@contextmanager
def connected(address: str, plan: Plan) -> Iterator[None]:
    """Within this context joblib's work is done by the workers of the Dask scheduler at the address.

    plan: one of the runs; every worker must see where they keep their state, and the images, under the same path.
    Raises ClusterError where Dask is not installed, the scheduler does not answer, has no workers, or where a worker
    has several threads (random numbers and the number of threads belong to a process) or does not see these folders.
    """
    if importlib.util.find_spec("distributed") is None:
        raise ClusterError("Dask is not installed. Run `pip install -e '.[cluster]'` here and on every worker.")
    from distributed import Client

    try:
        client = Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise ClusterError(f"no Dask scheduler answers at {address}: {error}. Start one: dask scheduler") from error
    with client:
        _check_workers(client)
        _check_threads(client.nthreads())
        _check_folders(client, plan)
        with parallel_config(_backend(client)):
            yield


def _backend(client: "Client") -> ParallelBackendBase:
    """joblib's backend for Dask, with its own way to hand runs out and to hear of their end.

    joblib's would wait for ever for a run that Dask gives up because each of its workers died, or whose result died
    with a worker; and where there is one worker it would do the work in this process.
    """
    from distributed import Future, KilledWorker
    from joblib._dask import DaskDistributedBackend

    def run(tasks: list) -> list:
        return [function(*arguments, **options) for function, arguments, options in tasks]

    def outcomes(future: Future, tasks: list) -> list[Outcome]:
        try:
            return future.result()
        except (Exception, CancelledError) as error:
            end = "died" if isinstance(error, KilledWorker) else "failed"
            text = f"{type(error).__name__}: {error}"
            return [Outcome(plan.name, end, text) for _, (plan, *_), _ in tasks]

    class Backend(DaskDistributedBackend):
        def configure(self, n_jobs: int = 1, parallel: Parallel | None = None, **options: object) -> int:
            return max(2, super().configure(n_jobs, parallel, **options))

        def submit(self, batch: Callable, callback: Callable) -> Future:
            future = self.client.submit(run, batch.items, pure=False)
            future.add_done_callback(lambda done: callback(outcomes(done, batch.items)))
            return future

    return Backend(client=client, wait_for_workers_timeout=0)  # workers may come and go


def _check_workers(client: "Client") -> None:
    try:
        client.wait_for_workers(1, timeout=PATIENCE)
    except TimeoutError as error:
        raise ClusterError("the Dask scheduler has no workers. Start some: dask worker ADDRESS --nthreads 1") from error


def _check_threads(nthreads: dict[str, int]) -> None:
    several = [address for address, count in nthreads.items() if count != 1]
    if several:
        raise ClusterError(
            f"{len(several)} of {len(nthreads)} workers have several threads, such as {several[0]}, but a run needs a "
            "process of its own. Start them with: dask worker --nthreads 1 --nworkers CORES"
        )


def _check_folders(client: "Client", plan: Plan) -> None:
    state = ensure_writable(plan.checkpoint.parent)
    with tempfile.NamedTemporaryFile(dir=state, prefix=".seen-") as file:  # a folder of that name could be another one
        unseen = client.run(_unseen, Path(file.name), plan)
    blind = {address: path for address, path in unseen.items() if path}
    if blind:
        address, path = next(iter(blind.items()))
        raise ClusterError(
            f"{len(blind)} of {len(unseen)} workers do not see what the runs need: {address} does not see {path}. "
            "Records and data must lie on a disk that all machines share, under the same path."
        )


def _unseen(probe: Path, plan: Plan) -> str:
    """What the process that is asked does not see, or nothing: the folder of the probe, or the images of the plan."""
    images = _images(plan)
    paths = {probe: probe.parent, images: images}
    return next((str(told) for path, told in paths.items() if not os.path.exists(path)), "")


def _images(plan: Plan) -> Path:
    if plan.data == data.EMBEDDED:
        return plan.book / "data" / f"{data.EMBEDDED}.npz"
    return plan.book / ("data/downloads" if plan.data in data.NAMES else Path(plan.data).expanduser())
