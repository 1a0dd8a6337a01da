import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from recsys.parameters import overridden
from recsys.recall import CHANNELS
from recsys.release import code_revision

ROOT = Path(__file__).parents[2]
spec = importlib.util.spec_from_file_location("preset", ROOT / "notebooks/preset.py")
preset = importlib.util.module_from_spec(spec)
spec.loader.exec_module(preset)


@pytest.fixture
def repository(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    subprocess.run(["git", "init", "-q"], check=True)
    subprocess.run(["dvc", "init", "-q"], check=True)
    Path(".gitignore").write_text("artifacts/\n.sample/\n")
    Path("params.yaml").write_text("seed: 3\ndata: {dataset: mine}\ncf: {top: 5, days: 7}\n")
    Path("dvc.yaml").write_text("stages: {data: {cmd: read, deps: [src]}}\n")
    Path("artifacts").mkdir()
    Path("artifacts/model").write_text("the full one")
    return tmp_path


def test_the_copy_has_the_sources_and_leaves_the_artifacts(repository, monkeypatch):
    Path("params.sample.yaml").write_text("cf: {top: 1}\n")
    monkeypatch.setattr(sys, "argv", ["preset.py", "sample"])
    preset.main()
    assert yaml.safe_load(Path(".sample/params.yaml").read_text())["cf"] == {"top": 1, "days": 7}
    assert not Path(".sample/artifacts").exists()
    assert Path("artifacts/model").read_text() == "the full one"


def test_a_release_of_the_copy_has_the_revision_of_sources_and_preset(repository, monkeypatch):
    Path("params.sample.yaml").write_text("{}\n")
    named = ["-c", "user.name=t", "-c", "user.email=t@t"]
    subprocess.run(["git", "add", "."], check=True)
    subprocess.run(["git", *named, "commit", "-qm", "all"], check=True)
    monkeypatch.setattr(sys, "argv", ["preset.py", "sample"])
    preset.main()
    assert code_revision(Path(".sample")) == code_revision(Path()) != "unknown"
    Path("params.sample.yaml").write_text("cf: {top: 1}\n")
    preset.main()
    assert code_revision(Path(".sample")) == code_revision(Path()) + "-dirty"


def test_the_copy_runs_without_git_and_shares_the_cache(repository, monkeypatch):
    Path("params.sample.yaml").write_text("{}\n")
    monkeypatch.setattr(sys, "argv", ["preset.py", "sample"])
    preset.main()
    cache = subprocess.run(["dvc", "cache", "dir"], cwd=".sample", capture_output=True, text=True, check=True)
    assert Path(cache.stdout.strip()) == repository / ".dvc/cache"


def test_laid_out_again_it_has_todays_sources_and_what_it_made(repository, monkeypatch):
    Path("params.sample.yaml").write_text("{}\n")
    Path("old.py").touch()
    Path("kept.py").write_text("yesterday")
    monkeypatch.setattr(sys, "argv", ["preset.py", "sample"])
    preset.main()
    Path(".sample/artifacts").mkdir()
    Path(".sample/artifacts/model").write_text("the preset's")
    Path(".sample/dvc.lock").write_text("its own")
    Path("old.py").unlink()
    Path("kept.py").write_text("today")
    Path("dvc.lock").write_text("another")
    preset.main()
    assert not Path(".sample/old.py").exists()
    assert Path(".sample/kept.py").read_text() == "today"
    assert Path(".sample/artifacts/model").read_text() == "the preset's"
    assert Path(".sample/dvc.lock").read_text() == "its own"


def test_data_of_ones_own_is_read_where_it_is(repository, monkeypatch):
    Path("params.sample.yaml").write_text("{}\n")
    Path("mine").mkdir()
    Path("mine/log.csv").touch()
    monkeypatch.setattr(sys, "argv", ["preset.py", "sample"])
    preset.main()
    assert yaml.safe_load(Path(".sample/params.yaml").read_text())["data"]["dataset"] == str(
        repository / "mine"
    )
    assert not Path(".sample/mine").exists()
    stages = yaml.safe_load(Path(".sample/dvc.yaml").read_text())["stages"]
    assert stages["data"]["deps"] == ["src", str(repository / "mine")]


def test_what_is_no_presets_folder_is_left_alone(repository, monkeypatch):
    Path("params.github.yaml").write_text("{}\n")
    Path(".github").mkdir()
    Path(".github/workflow").touch()
    monkeypatch.setattr(sys, "argv", ["preset.py", "github"])
    with pytest.raises(SystemExit, match=r"\.github is there, and is no preset's"):
        preset.main()
    assert Path(".github/workflow").exists()


@pytest.mark.parametrize("path", sorted(ROOT.glob("params.*.yaml")), ids=lambda path: path.name)
def test_a_preset_overrides_what_is_there_and_asks_channels_that_are_fitted(path):
    params = overridden(yaml.safe_load((ROOT / "params.yaml").read_text()), yaml.safe_load(path.read_text()))
    asked = set(params["merging"]["channels"])
    assert asked <= set(CHANNELS)
    assert set(params["optional"]) == {"fm", "sequence", "embeddings"}
    if "sequence" in asked:
        assert params["optional"]["sequence"] == list(params["data"]["splits"])
