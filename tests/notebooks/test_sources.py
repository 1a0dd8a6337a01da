"""The law of the notebooks: they explain and decide, the library computes."""

import ast
import re
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.ipynb"))
LONGEST_CELL = 14
KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
ABSOLUTE_PATH = re.compile(r"""["'](/\w|~/|[A-Za-z]:[\\/])""")


def faults(notebook):
    """What is wrong with a source notebook, one line each."""
    code = [(n, cell) for n, cell in enumerate(notebook.cells, start=1) if cell.cell_type == "code"]
    tagged = [cell for _, cell in code if "parameters" in cell.metadata.get("tags", [])]
    if len(tagged) != 1:
        yield f"{len(tagged)} cells are tagged `parameters`, not one"
    if notebook.metadata.get("kernelspec", {}).get("name") != "python3":
        yield "the kernelspec is not python3"
    for n, cell in code:
        yield from (f"cell {n}: {fault}" for fault in cell_faults(cell))


def cell_faults(cell):
    if cell.outputs or cell.execution_count is not None:
        yield "has outputs or a count: run nbstripout"
    lines = cell.source.splitlines()
    # Parameters stand one a line, however many there are.
    if len(lines) > LONGEST_CELL and "parameters" not in cell.metadata.get("tags", []):
        yield f"{len(lines)} lines, more than {LONGEST_CELL}"
    if any(re.match(r"\s*[!%]", line) for line in lines):
        yield "a shell or magic command"
        return
    if ABSOLUTE_PATH.search(cell.source):
        yield "an absolute path"
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    if any(isinstance(node, definitions) for node in ast.walk(ast.parse(cell.source))):
        yield "a def or class: it belongs in src/recsys"


def notebook_with(*sources, tags=("parameters",)):
    cells = [nbformat.v4.new_code_cell("seed = 0", metadata={"tags": list(tags)})]
    cells += [nbformat.v4.new_code_cell(source) for source in sources]
    return nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": KERNEL})


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_the_notebook_keeps_the_law(path):
    assert list(faults(nbformat.read(path, as_version=4))) == []


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def f():\n    return 1", "a def or class"),
        ("class A:\n    pass", "a def or class"),
        ("!pip install x", "a shell or magic command"),
        ("%pip install x", "a shell or magic command"),
        ("open('/home/me/data.csv')", "an absolute path"),
        ("\n".join(["x = 1"] * 15), "15 lines"),
    ],
)
def test_a_cell_against_the_law_is_named(source, fault):
    (found,) = faults(notebook_with(source))
    assert found.startswith(f"cell 2: {fault}")


def test_a_notebook_without_parameters_cell_is_named():
    assert list(faults(notebook_with(tags=()))) == ["0 cells are tagged `parameters`, not one"]


def test_an_output_is_named():
    notebook = notebook_with("1 + 1")
    notebook.cells[1].execution_count = 1
    assert list(faults(notebook)) == ["cell 2: has outputs or a count: run nbstripout"]


def test_a_lawful_notebook_has_no_fault():
    assert list(faults(notebook_with("from recsys import metrics", "metrics.auc"))) == []
