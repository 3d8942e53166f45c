"""Google Colab opens a single notebook of the public repository: this is the cell that fetches the rest of the book."""

from string import Template

from .manifest import Launch

_CELL = Template("""\
# Where the book is not installed, as on Google Colab, this fetches it. Elsewhere it does nothing.
import importlib.util, os, subprocess, sys

if importlib.util.find_spec("contrastlab") is None:
    clone = ["git", "clone", "--quiet", "--depth=1", "--branch=$branch", "$repository", "book"]
    subprocess.run(clone, check=True)
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--editable", "book", "anywidget"]
    subprocess.run(install, check=True)
    sys.path.insert(0, os.path.abspath("book/lib"))
    os.chdir("book/chapters")
""")


def fetch(launch: Launch) -> str:
    """The code of the cell for a book with a public address."""
    return _CELL.substitute(repository=launch.repository, branch=launch.branch).strip()
