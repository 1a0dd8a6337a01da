import pytest


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path_factory, monkeypatch):
    """Not at the root of the repository, where presets are drafted too."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
