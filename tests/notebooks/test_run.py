import importlib.util
from pathlib import Path

import nbformat
import papermill
import pytest
import yaml

from recsys.parameters import overridden

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("run", ROOT / "notebooks/run.py")
run = importlib.util.module_from_spec(spec)
spec.loader.exec_module(run)


def write_notebook(path, parameters, *cells):
    tagged = nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(
        cells=[tagged, *(nbformat.v4.new_code_cell(cell) for cell in cells)],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
    )
    path.parent.mkdir(exist_ok=True)
    nbformat.write(notebook, path)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("seed: 3\ncf: {top: 5}\n")
    write_notebook(Path("notebooks/20_cf.ipynb"), "top = 1\nseed = 0", "print(f'{top=} {seed=}')")
    return tmp_path


def printed(executed):
    cells = nbformat.read(executed, as_version=4).cells
    return "".join(output.text for cell in cells for output in cell.outputs if output.output_type == "stream")


def test_what_stands_under_at_is_for_one_split(repository):
    Path("params.yaml").write_text("cf: {top: 5, days: 7, at: {leave_last_out: {days: 1}}}\n")
    assert run.parameters_of("cf", "leave_last_out", set()) == {
        "top": 5,
        "days": 1,
        "split": "leave_last_out",
    }
    assert run.parameters_of("cf", "global_time", set()) == {"top": 5, "days": 7, "split": "global_time"}


def test_the_notebook_runs_with_its_section_and_the_common_seed(repository):
    assert run.main(["cf"]) == 0
    assert printed("reports/notebooks/20_cf.ipynb") == "top=5 seed=3\n"


def test_linear_algebra_has_one_thread_whatever_the_environment_says(repository, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    blas = "import numpy\nfrom threadpoolctl import threadpool_info\n"
    told = "print({each['num_threads'] for each in threadpool_info()})"
    write_notebook(Path("notebooks/20_cf.ipynb"), "top = 1\nseed = 0", blas + told)
    assert run.main(["cf"]) == 0
    assert printed("reports/notebooks/20_cf.ipynb") == "{1}\n"


def test_a_split_is_handed_over_and_has_its_own_folder(repository):
    write_notebook(Path("notebooks/20_cf.ipynb"), "top = 1\nsplit = ''", "print(split)")
    assert run.main(["cf", "--split", "global_time"]) == 0
    assert printed("reports/notebooks/global_time/20_cf.ipynb") == "global_time\n"


def test_a_parameter_that_the_notebook_does_not_declare_is_refused(repository, capsys):
    Path("params.yaml").write_text("cf: {top: 5, tpo: 6, seed: 1}\n")
    assert run.main(["cf"]) == 2
    assert "does not declare tpo" in capsys.readouterr().err


def test_a_declared_parameter_that_nothing_sets_is_refused(repository, capsys):
    Path("params.yaml").write_text("seed: 1\ncf: {}\n")
    assert run.main(["cf"]) == 2
    assert "declares top, which nothing sets" in capsys.readouterr().err


def test_a_split_that_the_notebook_does_not_declare_is_refused(repository, capsys):
    assert run.main(["cf", "--split", "global_time"]) == 2
    assert "does not declare split" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "fault"),
    [("mmoe", "expected one notebook notebooks/NN_mmoe.ipynb, found none"), ("two", "has no section 'two'")],
)
def test_a_stage_without_notebook_or_section_is_refused(repository, capsys, stage, fault):
    write_notebook(Path("notebooks/30_two.ipynb"), "top = 1")
    assert run.main([stage]) == 2
    assert fault in capsys.readouterr().err


def test_a_failing_cell_is_named_and_leaves_no_copy(repository, capsys):
    write_notebook(Path("notebooks/20_cf.ipynb"), "top = 1", "raise ValueError('no items')")
    assert run.main(["cf"]) == 1
    assert capsys.readouterr().err.splitlines()[-1] == "cf: In [3] failed: ValueError: no items"
    assert list(Path("reports/notebooks").iterdir()) == []


@pytest.fixture(scope="module")
def declared():
    """What each stage's notebook declares."""
    notebooks = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))
    return {path.stem[3:]: set(papermill.inspect_notebook(str(path))) for path in notebooks}


@pytest.mark.parametrize("preset", [None, *(path.name for path in sorted(ROOT.glob("params.*.yaml")))])
def test_every_stage_has_what_its_notebook_declares_for_each_split(preset, declared, tmp_path, monkeypatch):
    params = yaml.safe_load((ROOT / "params.yaml").read_text())
    if preset is not None:
        params = overridden(params, yaml.safe_load((ROOT / preset).read_text()))
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(yaml.safe_dump(params))
    for stage in declared.keys() & params.keys():
        names = declared[stage]
        for split in params["data"]["splits"] if "split" in names else [None]:
            run.check_names(Path(stage), set(run.parameters_of(stage, split, names)), names)
