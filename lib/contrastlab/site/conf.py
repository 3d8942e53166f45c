"""Sphinx reads this file, in a copy that stands beside a copy of book.toml, where its values come from."""

from datetime import date
from pathlib import Path

from contrastlab import __version__, manifest

book = manifest.load(Path(__file__).parent)

project = book.title
author = ", ".join(book.authors)
copyright = f"{date.today().year}, {author}. {book.licence}"
release = __version__
language = book.language

extensions = [
    "myst_nb",
    "sphinxcontrib.bibtex",
    "sphinx_copybutton",
    "sphinx-mathjax-offline",
    "contrastlab.site.numbering",
    "contrastlab.site.openers",
    "contrastlab.site.symbols",
    "contrastlab.site.photographs",
    "contrastlab.site.repairs",
]
exclude_patterns = ["_static"]
templates_path = ["_templates"]

nb_execution_mode = "off"
nb_ipywidgets_js = {}  # the default loads scripts from another host
# Without a kernel the live widget is blank; its text/html twin is mounted by mount.js, or printed as it is.
nb_mime_priority_overrides = [
    ("*", "text/html", 1),
    ("*", "application/vnd.jupyter.widget-view+json", 50),
]
myst_enable_extensions = ["amsmath", "attrs_block", "deflist", "dollarmath"]
myst_heading_anchors = 3
myst_html_meta = {"description": book.description}
bibtex_bibfiles = ["references.bib"]
bibtex_default_style = "plain"
bibtex_reference_style = "author_year"
copybutton_selector = "div:not(.output) > div.highlight pre"
mathjax3_config = {"options": {"enableMenu": False}}  # the menu makes a tab stop of every formula

chapter_numbers = {chapter.file: chapter.number for chapter in book.chapters}
numfig = True
math_numfig = True
numfig_secnum_depth = 1
numfig_format = {"figure": "Figure %s", "section": "Chapter %s"}
math_eqref_format = "({number})"

html_theme = "sphinx_book_theme"
html_title = book.title
html_static_path = ["_static"]
html_css_files = ["temperatures.css", "book.css"]
html_js_files = [("mount.js", {"type": "module"}), ("reach.js", {"type": "module"})]
html_favicon = "_static/favicon.svg"
html_context = {"default_mode": "auto"}
html_sidebars = {"**": ["book-brand.html", "search-button-field.html", "sbt-sidebar-nav.html"]}
html_theme_options = {
    "show_toc_level": 2,
    "toc_title": "On this page",
    "search_bar_text": "Search the book",
    "navbar_persistent": [],  # the sidebar has a search field already
    "use_download_button": True,
    "use_fullscreen_button": False,
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "github-dark",
}
if book.launch.repository:
    html_theme_options |= {
        "repository_url": book.launch.repository,
        "repository_branch": book.launch.branch,
        "path_to_docs": "chapters",
        "use_repository_button": True,
        "launch_buttons": {
            "binderhub_url": "https://mybinder.org",
            "colab_url": "https://colab.research.google.com",
            "notebook_interface": "jupyterlab",
        },
    }
