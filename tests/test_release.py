import json
import subprocess

import pytest

from recsys.release import (
    ReleaseError,
    build,
    code_revision,
    data_hash,
    list_releases,
    live_id,
    live_release,
    load,
    point,
    pointer,
    verify,
)


@pytest.fixture
def parts(tmp_path):
    made = tmp_path / "made"
    (made / "channels/popular").mkdir(parents=True)
    (made / "channels/popular/items.npz").write_bytes(b"items")
    (made / "channels/popular/state.json").write_text("{}")
    (made / "features.json").write_text('{"columns": []}')
    return {"recall": made / "channels", "features.json": made / "features.json"}


def published(parts, into, **changed):
    described = {
        "params": {"cf": {"top": 5}},
        "metrics": {"ndcg_at_10": 0.15},
        "data_hash": "d1",
        "fingerprint": "f1",
        "newest_event": 1000,
        "revision": "abc",
    }
    return build(parts, into, **(described | changed))


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_release_holds_its_parts_under_their_names(parts, tmp_path):
    release = published(parts, tmp_path / "releases")
    assert release.folder == tmp_path / "releases" / release.id
    assert sorted(release.manifest.files) == [
        "features.json",
        "recall/popular/items.npz",
        "recall/popular/state.json",
    ]


def test_the_same_inputs_give_the_same_id_and_the_same_bytes(parts, tmp_path):
    one, other = published(parts, tmp_path / "a"), published(parts, tmp_path / "b")
    assert one.id == other.id
    assert content(one.folder) == content(other.folder)


def test_a_rebuild_takes_the_place_of_the_same_release(parts, tmp_path):
    first = published(parts, tmp_path / "a")
    before = content(first.folder)
    assert content(published(parts, tmp_path / "a").folder) == before
    assert [path.name for path in (tmp_path / "a").iterdir()] == [first.id]


@pytest.mark.parametrize(
    "changed", [{"params": {"cf": {"top": 6}}}, {"data_hash": "d2"}, {"fingerprint": "f2"}], ids=str
)
def test_other_inputs_give_another_id(parts, tmp_path, changed):
    assert published(parts, tmp_path / "a").id != published(parts, tmp_path / "a", **changed).id


def test_other_bytes_give_another_id(parts, tmp_path):
    first = published(parts, tmp_path / "a")
    parts["features.json"].write_text('{"columns": [1]}')
    assert published(parts, tmp_path / "a").id != first.id


def test_the_revision_is_told_but_not_part_of_the_id(parts, tmp_path):
    one = published(parts, tmp_path / "a")
    other = published(parts, tmp_path / "b", revision="def")
    assert (one.id, other.manifest.revision) == (other.id, "def")


def test_files_behind_links_are_copied(parts, tmp_path):
    link = tmp_path / "link.json"
    link.symlink_to(parts["features.json"])
    release = published({"features.json": link}, tmp_path / "a")
    assert not (release.folder / "features.json").is_symlink()


@pytest.mark.parametrize("name", ["../out", "/out", "manifest.json", ""])
def test_a_part_must_stay_in_the_release(parts, tmp_path, name):
    with pytest.raises(ReleaseError, match="is no name for a part"):
        published({name: parts["features.json"]}, tmp_path / "a")


def test_a_missing_part_is_named_and_nothing_is_left(parts, tmp_path):
    with pytest.raises(ReleaseError, match=r"gone: part 'rank' is missing or empty"):
        published(parts | {"rank": tmp_path / "gone"}, tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_a_part_that_changes_while_it_is_copied_is_not_published(parts, tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.release.shutil.copyfile", lambda _, target: target.write_bytes(b"other"))
    with pytest.raises(ReleaseError, match=r"features.json: 5 bytes"):
        published(parts, tmp_path / "a")
    assert list((tmp_path / "a").iterdir()) == []


def test_two_parts_in_one_place_are_refused(parts, tmp_path):
    with pytest.raises(ReleaseError, match=r"'recall/popular/items.npz' stands in two parts"):
        published(parts | {"recall/popular": parts["recall"] / "popular"}, tmp_path / "a")


def test_a_metric_that_is_no_number_is_refused(parts, tmp_path):
    with pytest.raises(ReleaseError, match="metric 'auc' is nan"):
        published(parts, tmp_path / "a", metrics={"auc": float("nan")})


def test_a_whole_release_verifies(parts, tmp_path):
    release = published(parts, tmp_path / "a")
    assert verify(release.folder) == release


def test_a_changed_byte_is_found(parts, tmp_path):
    folder = published(parts, tmp_path / "a").folder
    (folder / "recall/popular/items.npz").write_bytes(b"iTems")
    with pytest.raises(ReleaseError, match=r"items.npz: its content is not what the manifest says"):
        verify(folder)


def test_a_cut_file_is_found(parts, tmp_path):
    folder = published(parts, tmp_path / "a").folder
    (folder / "recall/popular/items.npz").write_bytes(b"it")
    with pytest.raises(ReleaseError, match=r"items.npz: 2 bytes, the manifest says 5"):
        verify(folder)


def test_a_missing_file_is_found(parts, tmp_path):
    folder = published(parts, tmp_path / "a").folder
    (folder / "features.json").unlink()
    with pytest.raises(ReleaseError, match=r"features.json: missing"):
        verify(folder)


def test_an_extra_file_is_found(parts, tmp_path):
    folder = published(parts, tmp_path / "a").folder
    (folder / "recall/more.npz").write_bytes(b"")
    with pytest.raises(ReleaseError, match=r"more.npz: not in the manifest"):
        verify(folder)


def changed_manifest(folder, **changed):
    path = folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changed))
    return folder


def test_a_changed_manifest_is_found(parts, tmp_path):
    folder = changed_manifest(published(parts, tmp_path / "a").folder, params={"cf": {"top": 9}})
    with pytest.raises(ReleaseError, match=r"manifest.json: id \w+ does not belong to this content"):
        verify(folder)


def test_a_manifest_of_another_schema_is_refused(parts, tmp_path):
    folder = changed_manifest(published(parts, tmp_path / "a").folder, schema_version=2)
    with pytest.raises(ReleaseError, match=r"manifest.json: schema version 2, this code reads 1"):
        load(folder)


@pytest.mark.parametrize("text", ["{", "[]", '{"schema_version": 1}', '{"schema_version": 1, "files": {}}'])
def test_what_is_no_manifest_is_refused(tmp_path, text):
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(ReleaseError, match=r"manifest.json"):
        load(tmp_path)


def test_a_folder_without_manifest_is_no_release(tmp_path):
    with pytest.raises(ReleaseError, match=r"manifest.json"):
        verify(tmp_path)


def test_releases_are_listed_by_their_newest_event(parts, tmp_path):
    late = published(parts, tmp_path / "a", newest_event=3, data_hash="d3")
    early = published(parts, tmp_path / "a", newest_event=2, data_hash="d2")
    assert list_releases(tmp_path / "a") == [early, late]
    assert list_releases(tmp_path / "none") == []


def test_the_newest_release_is_live_until_another_is_pointed_at(parts, tmp_path):
    late = published(parts, tmp_path / "a", newest_event=3, data_hash="d3")
    early = published(parts, tmp_path / "a", newest_event=2, data_hash="d2")
    assert (pointer(tmp_path / "a"), live_release(tmp_path / "a")) == (None, late)
    point(tmp_path / "a", early.id)
    assert live_release(tmp_path / "a") == early
    assert list_releases(tmp_path / "a") == [early, late]


def test_without_a_release_none_is_live(tmp_path):
    assert live_id(tmp_path / "none") is None
    with pytest.raises(ReleaseError, match="none: holds no release"):
        live_release(tmp_path / "none")


@pytest.mark.parametrize("name", ["0" * 12, "", ".", "../a/{id}"])
def test_what_is_no_release_is_not_pointed_at(parts, tmp_path, name):
    id_ = published(parts, tmp_path / "a").id
    with pytest.raises(ReleaseError):
        point(tmp_path / "a", name.format(id=id_))
    assert pointer(tmp_path / "a") is None


def test_one_writing_of_the_pointer_differs_from_the_next(parts, tmp_path):
    id_ = published(parts, tmp_path / "a").id
    point(tmp_path / "a", id_)
    first = pointer(tmp_path / "a")
    point(tmp_path / "a", id_)
    assert pointer(tmp_path / "a") != first
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == sorted([id_, "live"])


@pytest.mark.parametrize("content", [b"", b"\n", b"\xff"])
def test_a_pointer_of_nonsense_points_at_nothing(parts, tmp_path, content):
    published(parts, tmp_path)
    (tmp_path / "live").write_bytes(content)
    assert (pointer(tmp_path) is None) == (not content.strip())
    if content.strip():
        with pytest.raises(ReleaseError):
            live_release(tmp_path)


def test_the_data_hash_is_of_names_and_content(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"1")
    first = data_hash(tmp_path)
    (tmp_path / "a.parquet").rename(tmp_path / "b.parquet")
    renamed = data_hash(tmp_path)
    (tmp_path / "b.parquet").write_bytes(b"2")
    assert len({first, renamed, data_hash(tmp_path)}) == 3


def git(folder, *command):
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    done = subprocess.run(["git", "-C", folder, *who, *command], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def checkout(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "params.yaml").write_text("a: 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "params")
    return tmp_path


def test_the_revision_is_the_last_commit_of_the_code(checkout):
    expected = git(checkout, "rev-parse", "HEAD")
    (checkout / "README.md").write_text("docs")
    git(checkout, "add", ".")
    git(checkout, "commit", "-qm", "docs")
    assert code_revision(checkout) == expected


def test_modified_code_is_dirty(checkout):
    (checkout / "params.yaml").write_text("a: 2\n")
    assert code_revision(checkout) == git(checkout, "rev-parse", "HEAD") + "-dirty"


def test_a_copy_that_git_does_not_know_has_the_revision_that_it_was_made_of(tmp_path):
    (tmp_path / "REVISION").write_text("abc-dirty\n")
    assert code_revision(tmp_path) == "abc-dirty"


def test_outside_git_the_revision_is_unknown(tmp_path):
    assert code_revision(tmp_path) == "unknown"
