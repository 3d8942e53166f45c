"""A Sphinx extension: chapters are numbered as their files are, not 1, 2, 3 anew in every part."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.environment.collectors.toctree import TocTreeCollector


def number_by_file(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """Put the chapter's number wherever Sphinx counted; return the pages to write anew.

    Figures and equations take their first number from the chapter's, so they are numbered again afterwards.
    """
    for page, number in app.config.chapter_numbers.items():
        counted = env.toc_secnumbers.get(page, {})
        env.toc_secnumbers[page] = {anchor: (number, *n[1:]) if n else () for anchor, n in counted.items()}
        for titled in (env.titles[page], *env.tocs[page].findall(nodes.reference)):
            if titled.get("secnumber"):
                titled["secnumber"] = [number, *titled["secnumber"][1:]]
    return TocTreeCollector().assign_figure_numbers(env)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_config_value("chapter_numbers", {}, "env", dict)
    # After 500, the priority at which Sphinx itself numbers sections and figures.
    app.connect("env-get-updated", number_by_file, priority=600)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
