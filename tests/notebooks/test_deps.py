"""DVC sees only what a stage declares: each module that a notebook reaches is among its stage's deps."""

import ast
import re
from pathlib import Path, PurePosixPath

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = "recsys"
REGISTERED = re.compile(r"(recsys(?:\.\w+)+)(?::\w+)?")
RUN = re.compile(r"notebooks/run\.py\s+(\w+)")


def file_of(root, module):
    """A module's file below ``root``, or None where there is no such module."""
    stem = root.joinpath("src", *module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def is_for_types_only(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported_names(tree):
    """Dotted names that the code imports, wherever it does; the last part: a module or a name in one."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if not is_for_types_only(node):
            waiting.extend(ast.iter_child_nodes(node))


def registered_names(tree):
    """Modules that the code names in strings, as a registry does that imports them when asked."""
    strings = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    found = (REGISTERED.fullmatch(value) for value in strings if isinstance(value, str))
    return [match[1] for match in found if match]


def modules_of(root, name):
    """What importing ``name`` runs: the packages above, and last the module it is or is in."""
    parts = name.split(".")
    prefixes = (".".join(parts[:n]) for n in range(1, len(parts) + 1))
    return [module for module in prefixes if parts[0] == PACKAGE and file_of(root, module)]


def is_empty(path):
    """Nothing but a docstring: it changes no result."""
    body = ast.parse(path.read_text()).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def reached(root, source):
    """Files of our modules that ``source`` imports, straight or through others, from ``root``.

    A registry counts with all that it names, unless it only stands above a module that is imported.
    """
    waiting, run, used = list(imported_names(ast.parse(source))), set(), set()
    while waiting:
        modules = modules_of(root, waiting.pop())
        for module in set(modules) - run:
            run.add(module)
            waiting.extend(imported_names(ast.parse(file_of(root, module).read_text())))
        for module in set(modules[-1:]) - used:
            used.add(module)
            waiting.extend(registered_names(ast.parse(file_of(root, module).read_text())))
    files = (file_of(root, module) for module in run)
    return {path.relative_to(root).as_posix() for path in files if not is_empty(path)}


def notebook_stages(root):
    """Each stage that runs a notebook: its name, the notebook's path, its deps; matrix and foreach alike."""
    for name, stage in yaml.safe_load((root / "dvc.yaml").read_text())["stages"].items():
        stage = stage.get("do", stage)
        called = RUN.search(str(stage["cmd"]))
        if called:
            (notebook,) = (root / "notebooks").glob(f"[0-9][0-9]_{called[1]}.ipynb")
            deps = [next(iter(dep)) if isinstance(dep, dict) else dep for dep in stage.get("deps", [])]
            yield name, notebook, deps


def undeclared(root, notebook, deps):
    """What the notebook reaches and ``deps`` cover neither as a file nor by a folder above it."""
    cells = nbformat.read(notebook, as_version=4).cells
    source = "\n".join(cell.source for cell in cells if cell.cell_type == "code")
    needed = reached(root, source) | {notebook.relative_to(root).as_posix()}
    declared = {PurePosixPath(dep) for dep in deps}
    covered = {path for path in needed if declared & {PurePosixPath(path), *PurePosixPath(path).parents}}
    return sorted(needed - covered)


STAGES = list(notebook_stages(ROOT)) if (ROOT / "dvc.yaml").is_file() else []


@pytest.mark.parametrize(("name", "notebook", "deps"), STAGES, ids=[name for name, *_ in STAGES])
def test_a_stage_declares_all_that_its_notebook_reaches(name, notebook, deps):
    assert undeclared(ROOT, notebook, deps) == []


@pytest.fixture
def repository(tmp_path):
    package = tmp_path / "src/recsys"
    (package / "recall").mkdir(parents=True)
    (package / "__init__.py").write_text('"""Only this."""\n')
    (package / "types.py").write_text("PAD = -1\n")
    (package / "metrics.py").write_text("PAD = -1\n")
    (package / "recall/__init__.py").write_text("from recsys.types import PAD\n")
    (package / "recall/popular.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import recsys.metrics\n"
    )
    (tmp_path / "notebooks").mkdir()
    cells = [nbformat.v4.new_code_cell("from recsys.recall import popular")]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), tmp_path / "notebooks/20_cf.ipynb")
    return tmp_path


def test_what_is_reached_through_others_must_be_declared(repository):
    deps = ["notebooks/20_cf.ipynb", "src/recsys/recall/popular.py"]
    lacking = undeclared(repository, repository / "notebooks/20_cf.ipynb", deps)
    assert lacking == ["src/recsys/recall/__init__.py", "src/recsys/types.py"]


def test_a_registry_that_is_asked_counts_with_all_it_names(repository):
    (repository / "src/recsys/recall/__init__.py").write_text(
        'ALL = {"popular": "recsys.recall.popular:Popular"}\n'
    )
    assert reached(repository, "from recsys.recall import channel") == {
        "src/recsys/recall/__init__.py",
        "src/recsys/recall/popular.py",
    }


def test_a_registry_above_an_imported_module_does_not(repository):
    (repository / "src/recsys/recall/other.py").write_text("x = 1\n")
    (repository / "src/recsys/recall/__init__.py").write_text(
        'ALL = {"other": "recsys.recall.other:Other"}\n'
    )
    assert "src/recsys/recall/other.py" not in reached(repository, "from recsys.recall import popular")


def test_a_folder_covers_what_is_in_it(repository):
    deps = ["notebooks/20_cf.ipynb", "src/recsys/recall", "src/recsys/types.py"]
    assert undeclared(repository, repository / "notebooks/20_cf.ipynb", deps) == []


def test_the_notebook_itself_must_be_declared(repository):
    lacking = undeclared(repository, repository / "notebooks/20_cf.ipynb", ["src/recsys"])
    assert lacking == ["notebooks/20_cf.ipynb"]


def test_stages_of_a_matrix_are_read(repository):
    (repository / "dvc.yaml").write_text(
        "stages:\n"
        "  cf:\n"
        "    matrix: {split: [global_time]}\n"
        "    cmd: python notebooks/run.py cf --split ${item.split}\n"
        "    deps: [src/recsys, {data/raw: {cache: false}}]\n"
        "  release:\n"
        "    cmd: recsys release build\n"
    )
    notebook = repository / "notebooks/20_cf.ipynb"
    assert list(notebook_stages(repository)) == [("cf", notebook, ["src/recsys", "data/raw"])]
