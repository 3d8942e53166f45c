"""Chapters: chapters/NN-name.md, a MyST notebook, becomes an executed .ipynb that is the same bytes on every run."""

import base64
import os
import re
import textwrap
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from . import cell_ids, colab, manifest
from .files import write_atomically

CELL_SECONDS = 120
START_SECONDS = 120  # of a kernel, on a busy machine
KERNELS = 2
KERNELSPEC = {"display_name": "Python 3", "language": "python", "name": "python3"}
LANGUAGE = {"name": "python", "file_extension": ".py", "pygments_lexer": "ipython3"}
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
ADDRESS = re.compile(r"\b0x[0-9a-f]{6,}")


class ChapterError(RuntimeError):
    """A chapter could not be read or executed; the message names chapter, cell and error."""


def source_to_notebook(source: Path) -> NotebookNode:
    """The chapter's notebook without outputs; ids and metadata depend on nothing but the text.

    Raises ChapterError if the source has no code cell.
    """
    source = Path(source)
    notebook = jupytext.reads(source.read_text(encoding="utf-8"), fmt="md:myst")
    if not any(cell.cell_type == "code" for cell in notebook.cells):
        raise ChapterError(f"{source.name} holds no ```{{code-cell}}. A chapter is a MyST notebook with code to run.")
    notebook.cells[1:1] = _cells_for_colab(source)
    notebook.metadata = NotebookNode(kernelspec=NotebookNode(KERNELSPEC), language_info=NotebookNode(LANGUAGE))
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    cell_ids.assign(notebook)
    for cell in notebook.cells:
        cell.metadata = _cell_metadata(cell)
    return notebook


def _cells_for_colab(source: Path) -> list[NotebookNode]:
    """After the title, a cell that fetches the book where it is not installed; none while it has no public address."""
    root = source.resolve().parents[1]
    if not (root / "book.toml").is_file() or not (launch := manifest.load(root).launch).repository:
        return []
    return [nbformat.v4.new_code_cell(colab.fetch(launch), metadata={"tags": ["remove-cell"]})]


def to_bytes(notebook: NotebookNode) -> bytes:
    """The notebook as the bytes of an .ipynb file, keys sorted."""
    return (nbformat.writes(notebook).rstrip() + "\n").encode()


def execute(sources: Iterable[Path], folder: Path, report: Callable[[str], None] = print) -> list[Path]:
    """Run chapters with `folder` as working folder, KERNELS at a time, and write each as folder/NN-name.ipynb.

    Where a reader wrote in an earlier NN-name.ipynb, it is kept as NN-name.mine.ipynb (see cell_ids), and reported.
    Raises ChapterError, with every failure, after the last one; the .ipynb of a chapter that failed stays as it was.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    clients = {Path(source).stem: _client(source, folder) for source in sources}
    failures: list[str] = []
    with ThreadPoolExecutor(KERNELS) as pool:
        futures = {pool.submit(_run, name, client, report): name for name, client in clients.items()}
        try:
            for future in as_completed(futures):
                name, error = futures[future], future.exception()
                if error is None:
                    _write(folder / f"{name}.ipynb", future.result(), report)
                elif isinstance(error, ChapterError):
                    failures.append(str(error))
                else:
                    raise error
                report(f"{name}: {'failed' if error else 'done'}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            _kill_kernels(clients.values())
            raise
    if failures:
        raise ChapterError("\n\n".join(failures))
    return [folder / f"{name}.ipynb" for name in clients]


def _write(pair: Path, notebook: NotebookNode, report: Callable[[str], None]) -> None:
    if aside := cell_ids.keep_readers_cells(pair, notebook):
        report(f"{pair.stem}: what you wrote in {pair.name} is kept beside it, in {aside.name}")
    write_atomically(pair, to_bytes(notebook))


def picture(notebook: Path, figure: str) -> bytes | None:
    """The PNG of a named figure (mystnb: figure: name) of an executed notebook, or None if it holds no such figure."""
    for cell in nbformat.read(notebook, as_version=4).cells:
        if figure and cell.metadata.get("mystnb", {}).get("figure", {}).get("name") == figure:
            return next(base64.b64decode(o.data["image/png"]) for o in cell.outputs if "image/png" in o.get("data", {}))
    return None


def _cell_metadata(cell: NotebookNode) -> NotebookNode:
    """Tags and figure options; a cell that the website folds away is also folded when JupyterLab opens it."""
    metadata = {key: cell.metadata[key] for key in ("tags", "mystnb") if key in cell.metadata}
    tags = metadata.get("tags", [])
    if "hide-cell" in tags:
        metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
    if "solution" in tags:
        metadata["mystnb"] = {"code_prompt_show": "Show the solution", "code_prompt_hide": "Hide the solution"} | (
            metadata.get("mystnb", {})
        )
    return nbformat.from_dict(metadata)


def _client(source: Path, folder: Path) -> NotebookClient:
    return NotebookClient(
        source_to_notebook(source),
        timeout=CELL_SECONDS,
        startup_timeout=START_SECONDS,
        kernel_name=KERNELSPEC["name"],
        record_timing=False,
        store_widget_state=False,
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(folder)}},
    )


def _run(name: str, client: NotebookClient, report: Callable[[str], None]) -> NotebookNode:
    reached = [0]
    client.on_cell_execute = lambda cell, cell_index: reached.append(cell_index)
    try:
        client.execute(env=kernel_environment())
    except (CellExecutionError, CellTimeoutError, RuntimeError) as error:
        cell = client.nb.cells[reached[-1]]
        raise ChapterError(
            f"chapter {name}, cell {reached[-1] + 1} failed: {_reason(error)}\n{textwrap.indent(cell.source, '    ')}"
        ) from error
    for number, text in _complaints(client.nb):
        report(f"{name}, cell {number} wrote to stderr, which the notebook leaves out:\n{text}")
    return _reproducible(client.nb)


def kernel_environment() -> dict[str, str]:
    """One core a kernel: its numbers and its pace then depend little on what else the machine does."""
    return os.environ | {
        "OMP_NUM_THREADS": "1",
        "PYTHONHASHSEED": "0",
        "TQDM_DISABLE": "1",
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        "JUPYTER_PREFER_ENV_PATH": "1",
    }


def _reason(error: Exception) -> str:
    if isinstance(error, CellExecutionError):
        return f"{error.ename}: {error.evalue}"
    if isinstance(error, CellTimeoutError):
        return f"it took more than {CELL_SECONDS} s"
    if isinstance(error, DeadKernelError):
        return "the kernel died, perhaps for want of memory"
    return str(error)  # it did not start, for example


def _complaints(notebook: NotebookNode) -> list[tuple[int, str]]:
    return [
        (number, output.text.rstrip())
        for number, cell in enumerate(notebook.cells, start=1)
        for output in cell.get("outputs", [])
        if output.get("name") == "stderr"
    ]


def _reproducible(notebook: NotebookNode) -> NotebookNode:
    """The notebook without what differs between runs: timings, ids of widgets, addresses, traces, cuts of a stream."""
    notebook.metadata.pop("widgets", None)
    notebook.metadata.language_info = NotebookNode(LANGUAGE)
    widgets: dict[str, str] = {}
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        if cell.cell_type == "code":
            cell.outputs = _joined([output for output in cell.outputs if output.get("name") != "stderr"])
            for output in cell.outputs:
                _steady(output, widgets)
    return notebook


def _joined(outputs: list[NotebookNode]) -> list[NotebookNode]:
    """Consecutive pieces of stdout as one: where the kernel cuts it depends on timing."""
    joined: list[NotebookNode] = []
    for output in outputs:
        if joined and output.output_type == "stream" == joined[-1].output_type:
            joined[-1].text += output.text
        else:
            joined.append(output)
    return joined


def _steady(output: NotebookNode, widgets: dict[str, str]) -> None:
    if output.output_type == "stream":
        output.text = ADDRESS.sub("0x0", output.text)
    elif output.output_type == "error":
        output.traceback = [f"{output.ename}: {output.evalue}"]
    else:
        for mime in output.data:
            if mime == WIDGET_VIEW:
                model = output.data[mime]["model_id"]
                output.data[mime]["model_id"] = widgets.setdefault(model, f"{len(widgets):032x}")
            elif mime.startswith("text/"):
                output.data[mime] = ADDRESS.sub("0x0", output.data[mime])


def _kill_kernels(clients: Iterable[NotebookClient]) -> None:
    for client in clients:
        if client.km is not None and client.km.has_kernel:
            client.km.provisioner.process.kill()
