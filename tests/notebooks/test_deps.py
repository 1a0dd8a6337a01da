"""DVC sees only what a stage declares: each module that a notebook reaches is among its stage's deps."""

import ast
import re
from pathlib import Path, PurePosixPath

import nbformat
import pytest
import yaml

ROOT = Path(__file__).parents[2]
PACKAGE = "recsys"
RUN = re.compile(r"notebooks/run\.py\s+(\w+)")


def file_of(root, module):
    """A module's file below ``root``, or None where there is no such module."""
    stem = root.joinpath("src", *module.split("."))
    return next((path for path in (stem.with_suffix(".py"), stem / "__init__.py") if path.is_file()), None)


def is_for_types_only(node):
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def imported_names(tree):
    """Dotted names that the code imports, wherever it does; `from a import b` may mean a module a.b."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        if not is_for_types_only(node):
            waiting.extend(ast.iter_child_nodes(node))


def with_parents(name):
    """Importing a.b.c runs a and a.b too."""
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts) + 1)]


def is_empty(path):
    """Nothing but a docstring: it changes no result."""
    body = ast.parse(path.read_text()).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def reached(root, source):
    """Files of our modules that ``source`` imports, straight or through others, from ``root``."""
    waiting, files = list(imported_names(ast.parse(source))), {}
    while waiting:
        for module in with_parents(waiting.pop()):
            if module.split(".")[0] != PACKAGE or module in files:
                continue
            files[module] = path = file_of(root, module)
            if path:
                waiting.extend(imported_names(ast.parse(path.read_text())))
    return {path.relative_to(root).as_posix() for path in files.values() if path and not is_empty(path)}


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
