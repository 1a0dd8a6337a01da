"""kernels.json is what a release calls."""

import json
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import kernels
import pytest
from numba.core.dispatcher import Dispatcher
from numba.core.sigutils import normalize_signature

RECORDED = json.loads(kernels.RECORDED.read_text())


@pytest.mark.parametrize("name", RECORDED)
def test_what_is_recorded_is_a_kernel_with_types_that_numba_reads(name):
    module, _, kernel = name.rpartition(".")
    assert isinstance(getattr(import_module(module), kernel), Dispatcher)
    assert all(normalize_signature(each)[0] for each in RECORDED[name])


def test_a_release_calls_nothing_that_is_not_recorded(releases):
    code = (
        "import json, kernels, sys; from pathlib import Path; from recsys.serving import Live; "
        "Live.load(Path(sys.argv[1])); print(json.dumps(kernels.called_so_far()))"
    )
    command = [sys.executable, "-c", code, str(next(releases.glob("[0-9a-f]*")))]
    told = subprocess.run(command, cwd=Path(kernels.__file__).parent, stdout=subprocess.PIPE, check=True)
    called = {(name, types) for name, each in json.loads(told.stdout).items() for types in each}
    missing = called - {(name, types) for name, each in RECORDED.items() for types in each}
    assert not missing, "python bentos/recommender/kernels.py record RELEASE..."


def test_what_is_asked_for_must_make_sense(capsys):
    for arguments in (["record"], ["compile", "folder"]):
        done = subprocess.run([sys.executable, kernels.__file__, *arguments], capture_output=True, text=True)
        assert done.returncode == 2
        assert "record takes folders of releases, compile takes none" in done.stderr
