"""The house: five floors, imports point only downwards, and no module holds two ideas."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import contrastlab

PACKAGE = Path(contrastlab.__file__).parent
LONGEST_MODULE = 280  # lines
NO_BUSINESS_IN_MATHEMATICS = {"matplotlib", "pathlib", "os", "io", "shutil", "json", "tempfile", "PIL", "torchvision"}

FLOORS = {
    "ground": {"checks", "files", "names", "precision"},
    "mathematics": {"losses", "hardness", "geometry", "tiled"},
    "learning": {
        "data",
        "folders",
        "packed",
        "compiling",
        "views",
        "encoders",
        "negatives",
        "train",
        "evaluate",
        "checkpoints",
        "config",
        "distributed",
        "gathered",
        "tiled_gathered",
    },
    "experiments": {"manifest", "profiles", "records", "plans", "runs", "cluster", "sweep", "paper", "claims"},
    "presentation": {
        "figures",
        "tables",
        "widgets",
        "exercises",
        "cell_ids",
        "notebooks",
        "chapter_rules",
        "colab",
        "site",
        "jobs",
        "cli",
        "train_command",
        "bench",
        "__main__",
    },
}
HEIGHTS = {unit: height for height, units in enumerate(FLOORS.values()) for unit in units}
MODULES = sorted(path.relative_to(PACKAGE).with_suffix("").as_posix() for path in PACKAGE.rglob("*.py"))


def unit_of(module: str) -> str:
    """The module or package directly under contrastlab: widgets/temperature -> widgets."""
    return module.split("/")[0]


def imports(source: str, module: str) -> set[str]:
    """Absolute dotted names of all that the module imports, also inside functions and under conditions."""
    parts = ["contrastlab", *module.split("/")][:-1]  # the package that relative imports start from
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            found |= {f"{base}.{name.name}" for name in node.names}
    return found


def units_imported(source: str, module: str) -> set[str]:
    """The other units of contrastlab that the module imports."""
    inside = {name.split(".")[1] for name in imports(source, module) if name.startswith("contrastlab.")}
    return inside & set(HEIGHTS) - {unit_of(module)}


def upward_imports(source: str, module: str) -> set[str]:
    height = HEIGHTS[unit_of(module)]
    return {unit for unit in units_imported(source, module) if HEIGHTS[unit] > height}


def read(module: str) -> str:
    return (PACKAGE / f"{module}.py").read_text(encoding="utf-8")


def on_floor(name: str) -> list[str]:
    return [module for module in MODULES if unit_of(module) in FLOORS[name]]


def test_every_module_lives_on_exactly_one_floor():
    homes = [unit for units in FLOORS.values() for unit in units]
    assert len(homes) == len(set(homes)), "a module is listed on two floors"
    homeless = {unit_of(module) for module in MODULES} - set(homes) - {"__init__"}
    assert not homeless, f"new under lib/contrastlab: {sorted(homeless)}. Say in FLOORS on which floor each belongs."


@pytest.mark.parametrize("module", [module for module in MODULES if module != "__init__"])
def test_arrows_only_point_down(module):
    if unit_of(module) not in HEIGHTS:
        pytest.fail(f"{module} is on no floor: list it in FLOORS")
    upward = upward_imports(read(module), module)
    assert not upward, f"{module} imports {sorted(upward)} from a floor above its own"


def test_the_package_itself_imports_none_of_its_modules():
    assert units_imported(read("__init__"), "__init__") == set()


@pytest.mark.parametrize("module", MODULES)
def test_a_module_is_one_idea(module):
    lines = len(read(module).splitlines())
    assert lines <= LONGEST_MODULE, f"{module} has {lines} lines, which is two ideas: split it"


@pytest.mark.parametrize("module", on_floor("mathematics"))
def test_mathematics_knows_no_files_and_no_plots(module):
    found = {name.split(".")[0] for name in imports(read(module), module)}
    assert not found & NO_BUSINESS_IN_MATHEMATICS
    assert "files" not in units_imported(read(module), module)


def test_the_floors_are_furnished():
    assert {unit_of(module) for module in on_floor("mathematics")} >= {"losses", "hardness", "geometry"}
    assert all(on_floor(name) for name in FLOORS)


def test_the_command_line_starts_without_torch():
    code = "import sys, contrastlab.cli; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "False", "contrastlab.cli imports torch before it knows what to do"


class TestTheSurveyItself:
    @pytest.mark.parametrize(
        "line",
        [
            "import contrastlab.train",
            "import contrastlab.train as t",
            "from contrastlab import train",
            "from contrastlab.train import Config",
            "from . import checks, train",
            "from .train import Config",
            "def f():\n    from .train import Config",
            "if TYPE_CHECKING:\n    from .train import Config",
        ],
    )
    def test_sees_an_upward_arrow_however_it_is_written(self, line):
        assert upward_imports(line, "losses") == {"train"}
        assert upward_imports(line, "sweep") == set()

    def test_follows_relative_imports_out_of_a_package(self):
        assert units_imported("from ..train import Config", "widgets/temperature") == {"train"}
        assert units_imported("from .. import figures, hardness", "widgets/temperature") == {"figures", "hardness"}
        assert units_imported("from .train import x", "widgets/temperature") == set()  # widgets/train, its own
        assert units_imported("from .. import train", "widgets/__init__") == {"train"}

    def test_leaves_other_packages_alone(self):
        assert units_imported("import train, torch.losses\nfrom files import sweep", "losses") == set()
