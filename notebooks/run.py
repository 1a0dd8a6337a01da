"""Run a stage's notebook with its section of params.yaml: `python notebooks/run.py STAGE [--split SPLIT]`.

Papermill only warns about a parameter that the notebook does not declare, and goes on with the notebook's
own values. So the two sets of names are compared first, and any difference ends the stage.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import papermill
import yaml
from papermill.exceptions import PapermillExecutionError

from recsys.artifacts import replacing
from recsys.parameters import ParameterError, overridden

PARAMS = Path("params.yaml")
NOTEBOOKS = Path("notebooks")
EXECUTED = Path("reports/notebooks")
KERNEL = "python3"
QUIET = ["--log-level=ERROR"]
"""Said to the kernel, which warns that nothing is encrypted: nothing of it leaves this machine."""
ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Of linear algebra: sums depend on how many threads share them, and must not on how many cores there are."""
COMMON = ("seed", "engine")
"""Parameters of no stage: those of them that a notebook declares it is given."""
AT = "at"
"""Key of a section's parameters that differ by split."""


class StageError(Exception):
    """The stage cannot run as it is described."""


def notebook_of(stage: str) -> Path:
    """Return the one source notebook of ``stage``: ``notebooks/NN_<stage>.ipynb``."""
    found = sorted(NOTEBOOKS.glob(f"[0-9][0-9]_{stage}.ipynb"))
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "none"
        raise StageError(f"expected one notebook {NOTEBOOKS}/NN_{stage}.ipynb, found {names}")
    return found[0]


def parameters_of(stage: str, split: str | None, declared: set[str]) -> dict[str, Any]:
    """Read the stage's section; add ``split`` where given, and of the `COMMON` ones those declared.

    What the section holds under ``at: {SPLIT: ...}`` is for that split alone.
    """
    if not PARAMS.is_file():
        raise StageError(f"no {PARAMS} here: run from the root of the repository")
    content = yaml.safe_load(PARAMS.read_text())
    section = content.get(stage)
    if not isinstance(section, Mapping):
        raise StageError(f"{PARAMS} has no section {stage!r}")
    parameters = dict(section)
    by_split = parameters.pop(AT, {})
    if split is not None:
        parameters = overridden(parameters, by_split.get(split, {}), f"{stage}.")
        parameters["split"] = split
    common = {name: content[name] for name in COMMON if name in declared and name in content}
    return common | parameters


def check_names(notebook: Path, given: set[str], declared: set[str]) -> None:
    """Raise StageError unless the notebook declares exactly what it is given."""
    faults = []
    if undeclared := sorted(given - declared):
        faults.append(f"does not declare {', '.join(undeclared)}")
    if missing := sorted(declared - given):
        faults.append(f"declares {', '.join(missing)}, which nothing sets")
    if faults:
        raise StageError(f"{notebook} {' and '.join(faults)} (compare its `parameters` cell with {PARAMS})")


def run(stage: str, split: str | None) -> Path:
    """Execute the stage's notebook; the executed copy appears whole or not at all."""
    notebook = notebook_of(stage)
    declared = set(papermill.inspect_notebook(str(notebook)))
    parameters = parameters_of(stage, split, declared)
    check_names(notebook, set(parameters), declared)
    executed = EXECUTED / (split or "") / notebook.name
    os.environ.update(ONE_THREAD)
    with replacing(executed) as temporary:
        papermill.execute_notebook(
            str(notebook), str(temporary), parameters, kernel_name=KERNEL, extra_arguments=QUIET
        )
    return executed


def main(arguments: Sequence[str] | None = None) -> int:
    """0 when the notebook ran, 1 when a cell failed, 2 when the stage is ill described."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("stage", help="a section of params.yaml with its notebook NN_<stage>.ipynb")
    parser.add_argument("--split", help="for a stage that runs once per split: the notebook's `split`")
    given = parser.parse_args(arguments)
    name = f"{given.stage} ({given.split})" if given.split else given.stage
    try:
        executed = run(given.stage, given.split)
    except (StageError, ParameterError) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    except PapermillExecutionError as error:
        print("\n".join(error.traceback), file=sys.stderr)
        print(f"{name}: In [{error.exec_count}] failed: {error.ename}: {error.evalue}", file=sys.stderr)
        return 1
    print(f"{name}: {executed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
