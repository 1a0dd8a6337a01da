import json

import numpy as np
import pandas as pd
import pytest

from recsys.artifacts import ArtifactError
from recsys.data.dataset import Dataset
from recsys.data.prepare import prepare
from recsys.types import PAD

FOLDS = ("late", "valid", "test")


def ready(folder, seed=0):
    return prepare(folder, folder / "raw", seed=seed)


def bytes_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def rewrite(folder, change):
    """Put the ratings through ``change``, frame to frame."""
    change(pd.read_csv(folder / "ratings.csv")).to_csv(folder / "ratings.csv", index=False)


def assert_same(a, b):
    for name in ("user_idx", "item_idx", "timestamp", "value"):
        assert np.array_equal(getattr(a, name), getattr(b, name))
        assert getattr(a, name).dtype == getattr(b, name).dtype
    assert all(np.array_equal(a.labels[task], b.labels[task]) for task in a.labels)


# Saved and loaded


def test_what_is_loaded_is_what_was_saved(dataset, tmp_path):
    dataset.save(tmp_path / "saved")
    loaded = Dataset.load(tmp_path / "saved")
    assert_same(loaded.interactions, dataset.interactions)
    assert_same(loaded.events, dataset.events)
    pd.testing.assert_frame_equal(loaded.users, dataset.users)
    pd.testing.assert_frame_equal(loaded.items, dataset.items)
    for field in ("spec", "splits", "report", "seed", "sample"):
        assert getattr(loaded, field) == getattr(dataset, field)


def test_tasks_and_attributes_keep_their_order(dataset, tmp_path):
    dataset.save(tmp_path / "saved")
    loaded = Dataset.load(tmp_path / "saved")
    assert list(loaded.spec.tasks) == list(loaded.interactions.labels) == ["watched", "liked"]
    assert [each.name for each in loaded.spec.attributes("user")] == ["age", "gender", "occupation"]


def test_a_missing_category_is_none_and_labels_are_lists_after_loading(folder, put, tmp_path):
    put("users.csv", 2, "gender", "")
    ready(folder).save(tmp_path / "saved")
    loaded = Dataset.load(tmp_path / "saved")
    assert loaded.users.gender.tolist().count(None) == 1
    assert all(type(genres) is list for genres in loaded.items.genres)


def test_saving_again_gives_the_same_bytes(folder, tmp_path):
    ready(folder).save(tmp_path / "one")
    ready(folder).save(tmp_path / "two")
    Dataset.load(tmp_path / "one").save(tmp_path / "three")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two") == bytes_of(tmp_path / "three")


def test_the_order_of_rows_in_the_files_changes_no_byte(folder, tmp_path):
    ready(folder).save(tmp_path / "one")
    for name in ("ratings.csv", "users.csv", "items.csv"):
        header, *rows = (folder / name).read_text().splitlines(keepends=True)
        (folder / name).write_text("".join([header, *reversed(rows)]))
    ready(folder).save(tmp_path / "two")
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")


def test_the_parquet_file_holds_ids_and_labels(dataset, tmp_path):
    dataset.save(tmp_path / "saved")
    table = pd.read_parquet(tmp_path / "saved" / "interactions.parquet")
    assert list(table) == [
        "user_id",
        "item_id",
        "timestamp",
        "value",
        "positive",
        "label_watched",
        "label_liked",
    ]
    assert (
        table.user_id.astype(str).tolist() == dataset.user_vocabulary.decode(dataset.events.user_idx).tolist()
    )


@pytest.mark.parametrize("name", ["interactions.parquet", "dataset.yaml"])
def test_a_changed_or_missing_file_is_refused(dataset, tmp_path, name):
    dataset.save(tmp_path / "saved")
    path = tmp_path / "saved" / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ArtifactError, match=f"{name}: is missing or was changed"):
        Dataset.load(tmp_path / "saved")
    path.unlink()
    with pytest.raises(ArtifactError, match=f"{name}: is missing or was changed"):
        Dataset.load(tmp_path / "saved")


def test_the_manifest_tells_seed_sample_and_splits(dataset, tmp_path):
    dataset.save(tmp_path / "saved")
    manifest = json.loads((tmp_path / "saved" / "manifest.json").read_text())
    assert (manifest["seed"], manifest["sample"]) == (0, 1)
    assert manifest["splits"]["global_time"] == {"late": 0.1, "valid": 0.1, "test": 0.1}


# Order


def bursts(folder):
    """Let each user have rated all in one second."""
    rewrite(folder, lambda table: table.assign(timestamp=table.groupby("user_id").timestamp.transform("max")))


def places_in_burst(dataset):
    """Place of each row in its user's history, from 0 (first) to 1 (last)."""
    inter = dataset.interactions
    place = np.empty(len(inter))
    place[inter.by_user] = np.arange(len(inter))
    return (place - inter.offsets[inter.user_idx]) / (np.diff(inter.offsets)[inter.user_idx] - 0.999)


def test_interactions_are_in_the_order_of_time(dataset):
    assert (np.diff(dataset.interactions.timestamp) >= 0).all()


def test_the_order_within_a_tie_follows_neither_ids_nor_values_nor_items(folder):
    bursts(folder)
    ours = ready(folder)
    places = places_in_burst(ours)
    for other in (ours.interactions.item_idx, ours.interactions.value):
        assert abs(np.corrcoef(places, other)[0, 1]) < 0.06  # 2.6 standard errors of 1,958 rows
    of_items = pd.Series(places).groupby(ours.interactions.item_idx).agg(["mean", "count"])
    off = (of_items["mean"] - 0.5) * np.sqrt(12 * of_items["count"])
    assert off.std() < 1.4  # no item is first for everybody, as one drawn for the item alone would be


def test_the_order_within_a_tie_does_not_follow_the_file(folder):
    bursts(folder)
    raw = pd.read_csv(folder / "ratings.csv").reset_index(names="line")
    ours = ready(folder)
    inter = ours.interactions
    ids = {
        "user_id": ours.user_vocabulary.decode(inter.user_idx).astype(str),
        "item_id": ours.item_vocabulary.decode(inter.item_idx).astype(str),
    }
    lines = pd.DataFrame(ids).merge(raw, how="left", on=["user_id", "item_id"]).line
    assert abs(np.corrcoef(places_in_burst(ours), lines)[0, 1]) < 0.06


def test_another_seed_orders_ties_otherwise_and_nothing_else(folder):
    one, other = ready(folder).interactions, ready(folder, seed=1).interactions
    assert np.array_equal(one.timestamp, other.timestamp)
    assert not np.array_equal(one.item_idx, other.item_idx)
    tied = np.isin(one.timestamp, one.timestamp[1:][np.diff(one.timestamp) == 0])
    assert np.array_equal(one.item_idx[~tied], other.item_idx[~tied])


# No leak


@pytest.mark.parametrize("name", FOLDS)
def test_what_comes_after_global_times_cut_never_changes_what_was_before(folder, name):
    before = ready(folder).fold("global_time", name)
    cut = before.future.timestamp.min()

    def another_future(table):
        late = table.timestamp >= cut
        others = "i" + ((table.item_id.str[1:].astype(int) + 1) % 80).astype(str)
        return table.assign(
            item_id=table.item_id.where(~late, others),
            rating=table.rating.where(~late, 1),
            timestamp=table.timestamp + late * 1000,
        )

    rewrite(folder, another_future)
    after = ready(folder).fold("global_time", name)
    assert not np.array_equal(after.future.item_idx, before.future.item_idx)
    assert_same(after.past, before.past)
    assert set(after.now) == set(before.now)


@pytest.mark.parametrize("name", FOLDS)
def test_what_a_user_does_after_the_cut_never_changes_what_was_before(folder, name):
    whole = ready(folder)
    before = whole.fold("leave_last_out", name)
    users = whole.user_vocabulary.decode(before.users).tolist()
    last = dict(zip(users, before.now.tolist(), strict=True))
    tied = dict(zip(users, before.tied.tolist(), strict=True))

    def another_future(table):
        # A tied last row cannot be told from those before it by its moment: such users are left alone.
        late = table.user_id.map(lambda user: user in last and not tied[user])
        late &= table.timestamp >= table.user_id.map(last)
        late &= ~table.duplicated(["user_id", "timestamp"], keep=False)
        return table.assign(item_id=table.item_id.where(~late, "i0"), rating=table.rating.where(~late, 1))

    rewrite(folder, another_future)
    after = ready(folder).fold("leave_last_out", name)
    assert not np.array_equal(after.future.item_idx, before.future.item_idx)
    assert_same(after.past, before.past)
    assert np.array_equal(after.now, before.now)


# Hot, warm, cold


def test_the_last_user_has_only_features_and_the_first_has_interactions(dataset):
    rows = dataset.user_vocabulary.encode(["u0", "u59", "nobody"])
    assert dataset.warmth(dataset.interactions, "user", rows).tolist() == ["hot", "warm", "cold"]


def test_an_item_is_warm_until_it_is_met(dataset):
    fold = dataset.fold("global_time", "late")
    told = dataset.warmth(fold.past, "item", np.arange(len(dataset.items)))
    assert set(np.flatnonzero(told == "hot")) == set(fold.past.item_idx)
    assert set(told) == {"hot", "warm"}


def test_what_has_neither_interactions_nor_attributes_is_cold(folder, respec):
    respec({"items.attributes": None, "items.category": None})
    ours = ready(folder)
    never_met = ours.item_vocabulary.encode(["i78", "i79"])
    assert ours.warmth(ours.interactions, "item", np.append(never_met, PAD)).tolist() == ["cold"] * 3
