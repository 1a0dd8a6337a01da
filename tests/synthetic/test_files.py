"""The example of news is a data set that `recsys data init` drafts and `recsys data check` finds right."""

import pandas as pd
import pytest

from recsys.cli import main
from recsys.data import prepare
from recsys.data.spec import FILE_NAME, DatasetSpec


@pytest.mark.parametrize(("options", "file"), [([], "clicks.csv"), (["--parquet"], "clicks/*.parquet")])
def test_the_example_is_drafted_checked_and_read(tmp_path, capsys, options, file):
    folder = tmp_path / "news"
    small = ["--users", "80", "--articles", "40", "--shown", "8000"]
    assert main(["data", "example", str(folder), *small, *options]) == 0
    assert main(["data", "init", str(folder)]) == 0
    spec = DatasetSpec.read(folder / FILE_NAME)
    assert spec.interactions.file == file
    assert spec.interactions.columns.timestamp.unit == "iso"
    assert list(spec.interactions.columns.context) == ["device", "region"]
    assert spec.interactions.positive == "clicked == 1"
    assert (spec.users, spec.items.category, spec.items.title) == (None, "category", "title")
    assert not prepare.check(folder).findings
    ours = prepare.prepare(folder, tmp_path / "raw", seed=0)
    assert 0 < len(ours.interactions) < len(ours.events) == 8000
    assert set(ours.events.context["device"]) == {"desktop", "phone"}
    assert len({id(word) for word in ours.events.context["device"]}) == 2  # cells share what they say
    assert "recsys data init" in capsys.readouterr().out


def test_a_folder_that_is_there_is_left_alone(tmp_path):
    (tmp_path / "mine.csv").touch()
    assert main(["data", "example", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["mine.csv"]


def test_parts_have_no_more_than_a_million_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.synthetic.world.AT_ONCE", 1000)
    monkeypatch.setattr("recsys.synthetic.files.AT_ONCE", 1000)
    folder = tmp_path / "news"
    assert (
        main(
            [
                "data",
                "example",
                str(folder),
                "--users",
                "9",
                "--articles",
                "20",
                "--shown",
                "2500",
                "--parquet",
            ]
        )
        == 0
    )
    assert [len(pd.read_parquet(path)) for path in sorted((folder / "clicks").iterdir())] == [1000, 1000, 500]
