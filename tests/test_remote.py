"""Releases on S3, against a server that checks signatures."""

import json
from datetime import timedelta

import pytest
from botocore.exceptions import IncompleteReadError
from botocore.response import StreamingBody
from processes import BUCKET

from recsys import remote as remotes
from recsys.release import MANIFEST, ReleaseError, build, verify
from recsys.remote import ConflictError, Live, Remote, RemoteError

pytestmark = pytest.mark.xdist_group("s3")


@pytest.fixture
def made(tmp_path):
    """Make a release of ``content`` in a folder of releases."""

    def made(content: str, newest_event: int = 1000):
        part = tmp_path / "part"
        (part / "channels").mkdir(parents=True, exist_ok=True)
        (part / "channels" / "items.npz").write_text(content)
        (part / "spec.json").write_text("{}")
        return build(
            {"recommender": part},
            tmp_path / "here",
            params={},
            metrics={"ndcg_at_10": 0.2},
            data_hash="d1",
            fingerprint="f1",
            newest_event=newest_event,
            revision="abc",
        )

    return made


@pytest.fixture
def remote(s3, tmp_path):
    return Remote(f"s3://{BUCKET}/{tmp_path.name}")


def publish(remote, release) -> None:
    remote.publish(release, remote.live())


def content(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_pulled_is_what_was_published(remote, made, tmp_path):
    release = made("one")
    publish(remote, release)
    pulled = remote.pull(remote.live().id, tmp_path / "there")
    assert content(pulled.folder) == content(release.folder)
    assert [each.id for each in remote.list_releases()] == [release.id]
    assert remote.pull(release.id, tmp_path / "there") == pulled  # at once: it is there


def test_what_is_there_is_not_sent_again(remote, made, monkeypatch):
    release = made("one")
    remote.upload(release)
    monkeypatch.setattr(remote, "_send", lambda *_: pytest.fail("sent again"))
    remote.upload(release)


class Killed(BaseException):
    """Ends a publisher where it stands, as a signal would."""


@pytest.mark.parametrize("writes", range(4))
def test_a_publisher_killed_at_any_write_leaves_the_old_release(remote, made, tmp_path, monkeypatch, writes):
    old, new = made("old"), made("new", newest_event=2000)
    publish(remote, old)
    put, left = remote._s3.put_object, writes

    def put_object(**told):
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed
        return put(**told)

    monkeypatch.setattr(remote._s3, "put_object", put_object)
    with pytest.raises(Killed):  # two files, the manifest, the pointer
        publish(remote, new)
    reader = Remote(remote.url)
    assert reader.live().id == old.id
    assert {each.id for each in reader.list_releases()} == ({old.id, new.id} if writes == 3 else {old.id})
    verify(reader.pull(reader.live().id, tmp_path / "there").folder)


def test_after_a_killed_publisher_the_next_one_finishes(remote, made, tmp_path, monkeypatch):
    release = made("one")

    def killed(*_):
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(remote, "_send", killed)
        with pytest.raises(Killed):
            publish(remote, release)
    again = Remote(remote.url)
    publish(again, release)
    assert content(again.pull(release.id, tmp_path / "there").folder) == content(release.folder)


def test_of_two_who_publish_at_once_one_is_told(remote, made):
    first, second, other = made("first"), made("second"), Remote(remote.url)
    before = remote.live(), other.live()
    for each, release in ((remote, first), (other, second)):
        each.upload(release)
    remote.point(first.id, before[0])
    with pytest.raises(ConflictError, match=f"release {first.id} was made to answer meanwhile"):
        other.point(second.id, before[1])
    assert remote.live().id == first.id
    assert other.point(second.id, other.live()).ids == (second.id, first.id)


def test_a_pointer_that_was_written_though_nobody_heard_of_it_is_no_conflict(remote, made, monkeypatch):
    release = made("one")
    remote.upload(release)
    put = remote._s3.put_object

    def put_object(**told):
        put(**told)  # arrives, its answer does not
        return put(**told)  # as botocore asks again by itself

    monkeypatch.setattr(remote._s3, "put_object", put_object)
    assert remote.point(release.id, Live()).id == release.id
    assert Remote(remote.url).live().id == release.id


def test_a_file_that_breaks_on_its_way_is_fetched_again(remote, made, tmp_path, monkeypatch):
    release = made("one" * 1000)
    publish(remote, release)
    read, broken = StreamingBody.read, []

    def read_half(body, amt=None):
        if not broken and amt != remotes.LARGEST_MANIFEST:
            broken.append(body)
            read(body, 10)
            raise IncompleteReadError(actual_bytes=10, expected_bytes=3000)
        return read(body, amt)

    monkeypatch.setattr(StreamingBody, "read", read_half)
    pulled = remote.pull(release.id, tmp_path / "there")
    assert broken
    assert content(pulled.folder) == content(release.folder)


def test_a_large_file_goes_in_parts_and_what_is_left_of_one_is_removed(
    remote, made, s3, tmp_path, monkeypatch
):
    monkeypatch.setattr(remotes, "ONE_PART", 1)
    release = made("large" * 2_000_000)  # two parts of boto3's
    publish(remote, release)
    assert content(remote.pull(release.id, tmp_path / "there").folder) == content(release.folder)
    begun = {"Bucket": BUCKET, "Key": f"{tmp_path.name}/releases/{'0' * 12}/recommender/spec.json"}
    s3.client().create_multipart_upload(**begun)

    def left():
        return s3.client().list_multipart_uploads(Bucket=BUCKET, Prefix=tmp_path.name).get("Uploads", [])

    remote.prune(1)
    assert len(left()) == 1
    monkeypatch.setattr(remotes, "BROKEN_AFTER", timedelta(0))
    remote.prune(1)
    assert left() == []


def test_what_was_never_uploaded_cannot_be_pointed_at(remote, made):
    with pytest.raises(RemoteError, match="holds no release"):
        remote.point(made("one").id, Live())


def test_what_arrives_changed_is_refused_and_nothing_is_kept(remote, made, s3, tmp_path):
    release = made("one")
    publish(remote, release)
    key = f"{tmp_path.name}/releases/{release.id}/recommender/channels/items.npz"
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"two")
    with pytest.raises(ReleaseError, match="its content is not what the manifest says"):
        remote.pull(release.id, tmp_path / "there")
    assert list((tmp_path / "there").iterdir()) == []


def test_a_manifest_that_names_places_outside_is_refused(remote, made, s3, tmp_path):
    release = made("one")
    publish(remote, release)
    manifest = json.loads((release.folder / MANIFEST).read_text())
    manifest["files"]["../../stolen"] = {"size": 1, "sha256": "0" * 64}
    key = f"{tmp_path.name}/releases/{release.id}/{MANIFEST}"
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=json.dumps(manifest).encode())
    with pytest.raises(ReleaseError, match="is no name for a file of a release"):
        remote.pull(release.id, tmp_path / "there")


def test_a_missing_file_is_named(remote, made, s3, tmp_path):
    release = made("one")
    publish(remote, release)
    key = f"{tmp_path.name}/releases/{release.id}/recommender/spec.json"
    s3.client().delete_object(Bucket=BUCKET, Key=key)
    with pytest.raises(RemoteError, match=r"spec\.json is missing"):
        remote.pull(release.id, tmp_path / "there")


def test_prune_keeps_the_newest_the_one_that_answers_and_the_one_before(remote, made):
    releases = [made(f"{n}", newest_event=n) for n in range(5)]
    for release in releases:
        remote.upload(release)
    live = remote.point(releases[0].id, Live())
    remote.point(releases[1].id, live)
    assert set(remote.prune(1)) == {releases[2].id, releases[3].id}
    assert [each.id for each in remote.list_releases()] == [releases[n].id for n in (0, 1, 4)]


def test_prune_removes_what_was_never_finished_once_it_is_old(remote, made, s3, tmp_path, monkeypatch):
    key = f"{tmp_path.name}/releases/{'0' * 12}/recommender/spec.json"
    s3.client().put_object(Bucket=BUCKET, Key=key, Body=b"{}")
    assert remote.prune(1) == []
    monkeypatch.setattr(remotes, "BROKEN_AFTER", timedelta(0))
    assert remote.prune(1) == ["0" * 12]
    assert remote.prune(1) == []


@pytest.mark.parametrize(("key", "secret"), [("publisher", "wrong"), ("nobody", "publishing")])
def test_wrong_credentials_are_told_in_one_line(s3, monkeypatch, key, secret):
    for name, value in s3.credentials(key, secret).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(RemoteError, match=r"refused \(\w+\); are the credentials right\?"):
        Remote(f"s3://{BUCKET}/any").live()


def test_who_may_only_read_pulls_and_cannot_publish(remote, made, s3, monkeypatch, tmp_path):
    release = made("one")
    publish(remote, release)
    for name, value in s3.credentials("reader").items():
        monkeypatch.setenv(name, value)
    reader = Remote(remote.url)
    verify(reader.pull(release.id, tmp_path / "there").folder)
    with pytest.raises(RemoteError, match="refused"):
        reader.upload(made("two"))


def test_without_credentials_it_says_so(s3, monkeypatch, tmp_path):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(RemoteError, match="Unable to locate credentials"):
        Remote(f"s3://{BUCKET}/any").live()


def test_a_bucket_that_is_not_there_is_named(s3):
    with pytest.raises(RemoteError, match="s3://missing/any: NoSuchBucket"):
        Remote("s3://missing/any").list_releases()


@pytest.mark.parametrize("url", ["http://bucket/prefix", "bucket/prefix", "s3://"])
def test_another_url_is_refused(url):
    with pytest.raises(RemoteError, match="is not s3://BUCKET/PREFIX"):
        Remote(url)
