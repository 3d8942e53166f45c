"""The pages of the book's own site, and what a test waits for on them."""

from pathlib import Path

from contrastlab import manifest

CHAPTERS = [f"{chapter.file}.html" for chapter in manifest.load(Path(__file__).parents[1]).chapters]
BACK = ["experiments.html", "glossary.html", "bibliography.html", "genindex.html", "search.html"]
PAGES = ["index.html", *CHAPTERS, *BACK]  # of the book's own site; a test asserts that there are no others
MOUNTING = ".contrastlab-figure:not([data-mounted], :has(.contrastlab-note))"  # a figure neither alive nor given up

TWO_FRAMES = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"  # what a resize needs
