"""The Dockerfile and the Bento; `make image` builds and runs what they make."""

import os
import subprocess
import sys
from pathlib import Path

import image
import pytest
import yaml
from processes import BENTO, BIN

ROOT = Path(__file__).parents[2]
UNWANTED = {"torch", "jupyterlab", "papermill", "dvc", "faiss-cpu", "implicit", "scikit-learn", "pyarrow"}


def test_hadolint_finds_nothing():
    subprocess.run([BIN / "hadolint", ROOT / "Dockerfile"], check=True)


def test_the_dockerfile_ends_with_the_service_without_root():
    lines = (ROOT / "Dockerfile").read_text().splitlines()
    stages = [line.split()[-1] for line in lines if line.startswith("FROM")]
    assert {*image.TARGETS} - {image.BENTOML} <= {*stages}
    assert stages[-1] == "service"
    (user,) = (line.split()[1] for line in lines if line.startswith("USER"))
    assert int(user.split(":")[0]) > 0, "a number: Kubernetes asks whether it is root"


def test_both_images_compile_kernels_for_the_same_processor():
    told = {
        each["name"]: each["value"] for each in yaml.safe_load((BENTO / "bentofile.yaml").read_text())["envs"]
    }
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert f"ARG PROCESSOR={told['NUMBA_CPU_NAME']}\n" in dockerfile
    for name in ("OMP_NUM_THREADS", "PYTHONHASHSEED", "BENTOML_DO_NOT_TRACK"):
        assert f"{name}={told[name]}" in dockerfile
    assert told["NUMBA_CPU_FEATURES"] == ""


@pytest.fixture(scope="module")
def bento(tmp_path_factory):
    """Folder of a Bento that was built."""
    home = tmp_path_factory.mktemp("bentoml")
    environment = os.environ | {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True"}
    subprocess.run([BIN / "bentoml", "build", BENTO], env=environment, stdout=subprocess.DEVNULL, check=True)
    (folder,) = (each for each in (home / "bentos" / "recommender").iterdir() if each.is_dir())
    return folder


@pytest.mark.slow
@pytest.mark.xdist_group("bento")
def test_a_bento_has_the_package_and_what_is_pinned_but_nothing_that_trains(bento):
    (wheel,) = (bento / "src" / "wheels").iterdir()
    package, *pins = (bento / "env" / "python" / "requirements.txt").read_text().splitlines()
    assert package == f"./wheels/{wheel.name}"
    assert {"numpy", "boto3", "bentoml"} <= {pin.split("==")[0] for pin in pins}
    assert not UNWANTED & {pin.split("==")[0] for pin in pins}
    locked = {
        line.partition(";")[0].lower().replace("_", "-")
        for line in (ROOT / "requirements.lock").read_text().splitlines()
    }
    assert {pin.lower().replace("_", "-") for pin in pins} <= locked
    assert {"service.py", "start.py", "kernels.json", "page"} <= {
        each.name for each in (bento / "src").iterdir()
    }


@pytest.mark.slow
@pytest.mark.xdist_group("bento")
def test_the_image_of_a_bento_has_no_build_tools_and_is_not_root(bento):
    dockerfile = (bento / "env" / "docker" / "Dockerfile").read_text()
    assert "build-essential" not in dockerfile
    assert "USER bentoml" in dockerfile


def test_without_podman_it_says_what_is_missing(monkeypatch, capsys):
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.setattr(sys, "argv", ["image.py"])
    assert image.main() == 2
    assert capsys.readouterr().err == "image: podman is missing: apt-get install podman\n"
