"""What serving needs, in an environment of its own."""

import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MOST = 700e6
"""Bytes that the environment may take."""
UNWANTED = ("torch", "jupyter", "jupyterlab", "papermill", "dvc", "faiss", "implicit", "sklearn", "pyarrow")


@pytest.mark.slow
def test_the_serve_group_is_small_and_answers_without_what_trains(releases, tmp_path):
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv" / "bin" / "python"
    constraint = ["--constraint", str(ROOT / "requirements.lock")]
    install = [python, "-m", "pip", "install", "--quiet", "--quiet", *constraint, f"{ROOT}[serve]"]
    subprocess.run(install, check=True)
    packages = tmp_path / "venv" / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    assert sum(file.lstat().st_size for file in packages.rglob("*") if file.is_file()) < MOST
    assert not {each.name for each in packages.iterdir()} & set(UNWANTED)
    (release,) = (next(releases.glob("[0-9a-f]*")),)
    code = (
        "from pathlib import Path; from recsys.serving import Ask, Live; "
        f"live = Live.load(Path({str(release)!r})); "
        "print(len(live.recommend(Ask('u3', 5), ()).items))"
    )
    answered = subprocess.run([python, "-c", code], check=True, capture_output=True, text=True, cwd=tmp_path)
    assert answered.stdout == "5\n"
