"""The pages that no chapter is: the title page, which holds the table of contents, and the bibliography."""

from importlib.resources import files
from string import Template

from ..manifest import Chapter, Manifest, Part
from .openers import ROMAN


def title_page(book: Manifest) -> str:
    """The Markdown of index.md: title, figure 3 running, what the book is, its chapters, the ways to use it."""
    template = Template(files("contrastlab.site").joinpath("index.md.in").read_text(encoding="utf-8"))
    named = list(zip(ROMAN, book.parts, strict=False))
    return template.substitute(
        title=book.title,
        subtitle=book.subtitle,
        figure=f"```{{raw}} html\n{_running_figure()}\n```",
        map="\n\n".join(_part_map(numeral, part) for numeral, part in named),
        tables_of_contents="\n\n".join(_toctree(numeral, part) for numeral, part in named),
        minutes=sum(chapter.minutes for chapter in book.chapters),
    )


def bibliography_page() -> str:
    """The Markdown of the bibliography: every work in references.bib, cited or not."""
    return "# Bibliography\n\n```{bibliography}\n:all:\n```\n"


def _running_figure() -> str:
    # Here, as it loads PyTorch: Sphinx imports this package too and need not wait for that.
    from ..widgets import WorldFigure

    return WorldFigure(compact=True).twin()


def _part_map(numeral: str, part: Part) -> str:
    return "\n\n".join([f"### Part {numeral}. {part.title}", *map(_chapter_map, part.chapters)])


def _chapter_map(chapter: Chapter) -> str:
    return f"{chapter.number}\u2002[](./{chapter.file}.ipynb)\n: {chapter.question} *{chapter.minutes} minutes.*"


def _toctree(numeral: str, part: Part) -> str:
    chapters = "\n".join(chapter.file for chapter in part.chapters)
    return f"```{{toctree}}\n:hidden:\n:numbered: 1\n:caption: Part {numeral}. {part.title}\n\n{chapters}\n```"
