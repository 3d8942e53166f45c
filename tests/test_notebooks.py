"""Chapters become notebooks: the same bytes every time, errors that say where, and rules that every chapter keeps."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

import small_book
from contrastlab import chapter_rules, manifest, notebooks
from contrastlab.notebooks import ChapterError

REPOSITORY = Path(__file__).resolve().parents[1]
BOOK = manifest.load(REPOSITORY)
LOSS, TEMPERATURES = "02-the-loss", "07-ten-temperatures"


@pytest.fixture(scope="module")
def executed(tmp_path_factory):
    """The small book, executed twice: in its own chapters/, and as copies elsewhere."""
    root = small_book.write(tmp_path_factory.mktemp("book"))
    book = manifest.load(root)
    sources = book.sources(book.chapters)
    notebooks.execute(sources, book.folder, report=lambda _: None)
    notebooks.execute(sources, root / "_build" / "chapters", report=lambda _: None)
    return root


@pytest.fixture
def run(tmp_path):
    """run(cell, ...) -> the executed notebook of a chapter with these code cells, and what was reported."""

    def execute(*cells):
        source = tmp_path / "05-cells.md"
        source.write_text("# Cells\n\n" + "\n\n".join(f"```{{code-cell}}\n{cell}\n```" for cell in cells))
        said = []
        (pair,) = notebooks.execute([source], tmp_path, report=said.append)
        return nbformat.read(pair, as_version=4), said

    return execute


def code_cell(source, tags=(), outputs=()):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)}, outputs=list(outputs))


def faults_of(*cells):
    return chapter_rules.faults(nbformat.v4.new_notebook(cells=list(cells)))


class TestExecution:
    @pytest.mark.parametrize("name", [LOSS, TEMPERATURES])
    def test_two_runs_give_the_same_bytes(self, executed, name):
        first = (executed / "chapters" / f"{name}.ipynb").read_bytes()
        assert first == (executed / "_build" / "chapters" / f"{name}.ipynb").read_bytes()
        assert b'"outputs": [\n' in first

    def test_holds_nothing_of_this_machine_or_moment(self, executed):
        for path in (executed / "chapters").glob("*.ipynb"):
            notebook = json.loads(path.read_text())
            assert set(notebook["metadata"]) == {"kernelspec", "language_info"}
            assert "version" not in notebook["metadata"]["language_info"]
            assert not any("execution" in cell["metadata"] for cell in notebook["cells"])
            assert str(executed) not in path.read_text()

    def test_widget_outputs_keep_their_twin_and_get_a_steady_id(self, executed):
        cells = nbformat.read(executed / "chapters" / f"{TEMPERATURES}.ipynb", as_version=4).cells
        (shown,) = [cell for cell in cells if cell.source.endswith("\nFigure()")]
        data = shown.outputs[0].data
        assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == "0" * 32
        assert data["text/html"].startswith('<div class="contrastlab-figure" data-module="temperature.mjs"')

    def test_memory_addresses_are_masked(self, run):
        notebook, _ = run("o = object()\nprint(o)\no")
        printed, shown = notebook.cells[-1].outputs
        assert printed.text == "<object object at 0x0>\n"
        assert shown.data["text/plain"] == "<object at 0x0>"

    def test_pieces_of_a_stream_are_one_but_keep_their_place_around_a_display(self, run):
        notebook, _ = run(
            "import sys, time\n"
            "from IPython.display import display\n"
            "for n in range(3):\n"
            "    print(n)\n"
            "    sys.stdout.flush()\n"
            "    time.sleep(0.2)\n"
            "display('shown')\n"
            "print('after')"
        )
        before, shown, after = notebook.cells[-1].outputs
        assert (before.text, after.text) == ("0\n1\n2\n", "after\n")
        assert shown.data["text/plain"] == "'shown'"

    def test_stderr_is_reported_and_left_out(self, run):
        notebook, said = run("import sys", "print('a warning', file=sys.stderr)\nprint('text')")
        assert [output.name for output in notebook.cells[-1].outputs] == ["stdout"]
        assert any("05-cells, cell 3 wrote to stderr" in line and "a warning" in line for line in said)

    def test_runs_in_this_environment_with_one_thread(self, run):
        notebook, _ = run("import os, sys\nprint(sys.executable)\nprint(os.environ['OMP_NUM_THREADS'])")
        assert notebook.cells[-1].outputs[0].text.split("\n")[:2] == [sys.executable, "1"]

    def test_works_in_the_folder_of_the_notebooks(self, executed):
        source = executed / "chapters" / "05-where.md"
        source.write_text(
            "# Where\n\n```{code-cell}\nfrom contrastlab.files import repository_root\n"
            "import os\nprint(repository_root() == __import__('pathlib').Path('../..').resolve())\n```"
        )
        (pair,) = notebooks.execute([source], executed / "_build" / "where", report=lambda _: None)
        assert nbformat.read(pair, as_version=4).cells[-1].outputs[0].text == "True\n"

    def test_an_expected_error_keeps_its_message_and_loses_its_paths(self, tmp_path):
        source = tmp_path / "05-raises.md"
        source.write_text("# R\n\n```{code-cell}\n:tags: [raises-exception]\nraise ValueError('tau must be > 0')\n```")
        (pair,) = notebooks.execute([source], tmp_path, report=lambda _: None)
        (output,) = nbformat.read(pair, as_version=4).cells[-1].outputs
        assert output.traceback == ["ValueError: tau must be > 0"]


class TestFailure:
    def test_names_chapter_cell_and_error_and_keeps_the_earlier_notebook(self, tmp_path):
        root = small_book.write(tmp_path)
        book = manifest.load(root)
        broken = root / "chapters" / f"{LOSS}.md"
        broken.write_text(broken.read_text().replace('print("one")', "one_that_is_not"))
        earlier = root / "chapters" / f"{LOSS}.ipynb"
        earlier.write_text("earlier")
        with pytest.raises(ChapterError) as caught:
            notebooks.execute(book.sources(book.chapters), book.folder, report=lambda _: None)
        message = str(caught.value)
        assert message.startswith(f"chapter {LOSS}, cell 2 failed: NameError: name 'one_that_is_not' is not defined")
        assert "    one_that_is_not\n" in message
        assert earlier.read_text() == "earlier"
        assert (root / "chapters" / f"{TEMPERATURES}.ipynb").is_file()

    def test_a_cell_that_takes_too_long_is_ended(self, run, monkeypatch):
        monkeypatch.setattr(notebooks, "CELL_SECONDS", 1)
        with pytest.raises(ChapterError, match="chapter 05-cells, cell 2 failed: it took more than 1 s"):
            run("import time\ntime.sleep(60)")

    def test_a_kernel_that_dies_is_named(self, run):
        with pytest.raises(ChapterError, match="cell 2 failed: the kernel died"):
            run("import os\nos._exit(1)")

    def test_a_page_without_code_is_no_chapter(self, tmp_path):
        (tmp_path / "05-prose.md").write_text("# Prose\n")
        with pytest.raises(ChapterError, match=r"05-prose\.md holds no"):
            notebooks.source_to_notebook(tmp_path / "05-prose.md")


class TestSource:
    def test_ids_come_from_content_so_that_a_new_cell_changes_no_other(self, tmp_path):
        source = tmp_path / "05-ids.md"
        cell = "```{code-cell}\nprint(1)\n```\n\n"
        source.write_text("# A\n\n" + cell + cell)
        before = [c.id for c in notebooks.source_to_notebook(source).cells]
        source.write_text("# A\n\n```{code-cell}\nprint(0)\n```\n\n" + cell + cell)
        after = [c.id for c in notebooks.source_to_notebook(source).cells]
        assert len(set(before)) == 3
        assert [i for i in after if i in before] == before

    def test_keeps_tags_and_figure_options_and_folds_solutions_in_jupyter(self, executed):
        cells = notebooks.source_to_notebook(executed / "chapters" / f"{LOSS}.md").cells
        assert cells[2].metadata == {
            "mystnb": {"figure": {"caption": "A dot.", "name": "fig-dot"}, "image": {"alt": "A black dot."}}
        }
        assert cells[3].metadata.tags == ["solution", "hide-cell"]
        assert cells[3].metadata.jupyter == {"source_hidden": True, "outputs_hidden": True}


class TestAgreement:
    def test_a_source_and_its_own_notebook_agree(self, executed):
        for name in (LOSS, TEMPERATURES):
            folder = executed / "chapters"
            assert chapter_rules.disagreements(folder / f"{name}.md", folder / f"{name}.ipynb") == []

    @pytest.mark.parametrize(
        ("old", "new", "found"),
        [
            ('print("one")', 'print("two")', f"cell 2 of {LOSS}.ipynb differs in 'source'"),
            ("A black dot.", "A dot", f"cell 3 of {LOSS}.ipynb differs in 'metadata'"),
            ("# The loss", "# Loss", f"cell 1 of {LOSS}.ipynb differs in 'source'"),
            ("```{code-cell}\nprint", "```{code-cell}\n1\n```\n\n```{code-cell}\nprint", f"{LOSS}.md has 5 cells"),
        ],
    )
    def test_an_edit_without_a_run_is_found(self, executed, tmp_path, old, new, found):
        text = (executed / "chapters" / f"{LOSS}.md").read_text()
        assert old in text
        (tmp_path / f"{LOSS}.md").write_text(text.replace(old, new))
        differences = chapter_rules.disagreements(tmp_path / f"{LOSS}.md", executed / "chapters" / f"{LOSS}.ipynb")
        assert any(difference.startswith(found) for difference in differences)

    def test_a_missing_notebook_is_found(self, executed, tmp_path):
        assert chapter_rules.disagreements(executed / "chapters" / f"{LOSS}.md", tmp_path / "no.ipynb") == [
            "no.ipynb does not exist"
        ]


class TestRules:
    PICTURE = nbformat.v4.new_output("display_data", data={"image/png": "iVBORw0K"})

    def test_a_good_chapter_has_no_faults(self, executed):
        for path in (executed / "chapters").glob("0[27]*.ipynb"):
            assert chapter_rules.faults(nbformat.read(path, as_version=4)) == []

    @pytest.mark.parametrize("source", ["%matplotlib inline", "%%time\n1", "!ls", "x = !ls", "print?", "%nosuch"])
    def test_magics_are_faults(self, source):
        assert re.search("is not plain Python", faults_of(code_cell(source))[0])

    def test_a_closing_semicolon_is_a_fault(self):
        assert "ends in ';'" in faults_of(code_cell("ax.plot(x);\n"))[0]

    @pytest.mark.parametrize("source", ["from tqdm.auto import tqdm", "import tqdm.notebook"])
    def test_progress_bars_that_are_widgets_are_faults(self, source):
        assert "tqdm.std" in faults_of(code_cell(source))[0]

    def test_twenty_lines_may_be_shown_and_more_may_be_folded(self):
        assert faults_of(code_cell("\n".join(["x = 1"] * 20))) == []
        assert "shows 21 lines of code" in faults_of(code_cell("\n".join(["x = 1"] * 21)))[0]
        assert faults_of(code_cell("\n".join(["x = 1"] * 21), tags=["hide-cell"])) == []

    def test_a_line_of_88_characters_fits_and_a_longer_one_is_a_fault_folded_or_not(self):
        fits, longer = "x = 1" + "  # comment".ljust(83, "."), "y = 1" + "  # comment".ljust(84, ".")
        assert faults_of(code_cell(fits)) == []
        for tags in ([], ["hide-cell"]):
            (fault,) = faults_of(code_cell(f"{fits}\n{longer}", tags=tags))
            assert "has a line of 89 characters ('y = 1" in fault

    @pytest.mark.parametrize("text", ["```{note}\nHi\n```", "Text\n\n:::{tip} Hi\n:::", "  ````{exercise}\n````"])
    def test_directives_in_prose_are_faults(self, text):
        assert "raw text in stock Jupyter" in faults_of(nbformat.v4.new_markdown_cell(text))[0]

    def test_plain_fences_and_roles_are_not(self):
        assert faults_of(nbformat.v4.new_markdown_cell("```python\n{1: 2}\n```\n\n{eq}`loss` and `{x}`")) == []

    def test_a_picture_without_alt_text_is_a_fault(self):
        assert "without alt text" in faults_of(code_cell("plot()", outputs=[self.PICTURE]))[0]


@pytest.mark.parametrize("chapter", BOOK.chapters, ids=lambda chapter: chapter.file)
class TestTheBook:
    def test_source_and_notebook_agree(self, chapter):
        source = BOOK.folder / f"{chapter.file}.md"
        assert chapter_rules.disagreements(source, source.with_suffix(".ipynb")) == []

    def test_keeps_the_rules(self, chapter):
        assert chapter_rules.faults(nbformat.read(BOOK.folder / f"{chapter.file}.ipynb", as_version=4)) == []

    def test_was_run_from_start_to_end_with_nothing_of_the_machine_in_it(self, chapter):
        notebook = nbformat.read(BOOK.folder / f"{chapter.file}.ipynb", as_version=4)
        counts = [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"]
        assert counts == list(range(1, len(counts) + 1))
        outputs = json.dumps([cell.outputs for cell in notebook.cells if cell.cell_type == "code"])
        assert not re.search(r'"stderr"|site-packages|/home/|/root/|/tmp/|C:\\\\', outputs)


def test_nbval_accepts_the_notebooks_and_sees_a_changed_number(executed, tmp_path):
    """The command that `contrastlab test` runs, on a notebook that is right and on one that is not."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--nbval", "--nbval-current-env",
               f"--nbval-sanitize-with={REPOSITORY / 'tests' / 'nbval.cfg'}"]  # fmt: skip
    right, wrong = tmp_path / "right.ipynb", tmp_path / "wrong.ipynb"
    shutil.copy(executed / "chapters" / f"{LOSS}.ipynb", right)
    wrong.write_text(right.read_text().replace('"one\\n"', '"two\\n"'))
    done = subprocess.run([*command, right, wrong], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert re.search(r"FAILED wrong.ipynb::Cell 0", done.stdout)
    assert "1 failed, 5 passed" in done.stdout
