import json
from dataclasses import FrozenInstanceError

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recsys import columns
from recsys.features.encoders import ENCODERS
from recsys.features.spec import Column, FeatureSpec, columns_of
from recsys.features.values import FeatureError
from recsys.types import PAD

ITEMS = pd.DataFrame(
    {
        "item_id": ["a", "b", "c", "d"],
        "year": [1990.0, 1995.0, np.nan, 2001.0],
        "genres": [["Drama"], ["Comedy", "Drama"], None, ["War", "Drama", "Comedy"]],
        "studio": ["x", "y", "x", None],
        "clicks": [1.0, 0.0, 7.0, 3.0],
        "shown": [10.0, 0.0, 9.0, np.nan],
        "added": [0.0, 4e5, 9e8, np.nan],
    }
)
USERS = pd.DataFrame({"age": [18, 25, 18], "likes": ["Drama", "War", "Horror"]})

EVERY = (
    Column("item_id", "vocabulary", "item", "id"),
    Column("genres", "multi_hot", "item", "kind"),
    Column("studio", "hash", "item", "kind", {"buckets": 5}),
    Column("genres_hashed", "hash", "item", "kind", {"source": "genres", "buckets": 3}),
    Column("studio_hot", "one_hot", "item", "kind", {"source": "studio"}),
    Column("studio_place", "ordinal", "item", "kind", {"source": "studio"}),
    Column("studio_text", "text", "item", "kind", {"source": "studio", "size": 2, "min_count": 1}),
    Column("studio_share", "frequency", "item", "kind", {"source": "studio"}),
    Column("year", "quantile", "item", "time", {"buckets": 3}),
    Column("year_standard", "standard", "item", "time", {"source": "year"}),
    Column("year_min_max", "min_max", "item", "time", {"source": "year"}),
    Column("year_robust", "robust", "item", "time", {"source": "year"}),
    Column("year_uniform", "uniform", "item", "time", {"source": "year"}),
    Column("shown_power", "power", "item", "rate", {"source": "shown"}),
    Column("click_rate", "wilson", "item", "rate", {"source": "clicks", "trials": "shown"}),
    Column("hour", "time_of_day", "item", "time", {"source": "added", "cyclic": True}),
    Column("weekday", "day_of_week", "item", "time", {"source": "added"}),
)


def fit(*chosen, **options):
    return FeatureSpec.fit({"item": ITEMS, "user": USERS}, chosen, **options)


def same(one, other):
    assert list(one) == list(other)
    for name in one:
        assert one[name].dtype == other[name].dtype
        np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_every_encoder_is_tried_here():
    assert {each.encoder for each in EVERY} == set(ENCODERS)


def test_each_column_has_the_shape_that_its_encoder_says():
    spec = fit(*EVERY)
    arrays = spec.encode(ITEMS)
    for each in spec.columns:
        array, encoder = arrays[each.name], each.encoder
        if encoder.kind == "number":
            assert (array.dtype, array.shape) == (np.float32, (4, encoder.size))
        else:
            assert (array.dtype, array.ndim) == (np.int64, 1 if encoder.kind == "id" else 2)
            assert array.min() >= PAD
            assert array.max() < encoder.size


ROWS = st.fixed_dictionaries(
    {
        "item_id": st.sampled_from(["a", "d", "new", None]),
        "year": st.floats(1900, 2100) | st.just(float("nan")),
        "genres": st.lists(st.sampled_from(["Drama", "War", "Noir"]), max_size=5) | st.none(),
        "studio": st.sampled_from(["x", "y", "z", None]),
        "clicks": st.floats(0, 50) | st.just(float("nan")),
        "shown": st.floats(0, 50),
        "added": st.integers(-(10**9), 2 * 10**9),
    }
)


@settings(max_examples=60, deadline=None)
@given(st.lists(ROWS, min_size=1, max_size=20))
def test_a_batch_is_encoded_as_one_by_one(rows):
    spec = fit(*EVERY)
    batch = spec.encode(pd.DataFrame(rows, columns=list(ITEMS)))
    single = [spec.encode({name: [value] for name, value in row.items()}) for row in rows]
    same(batch, {name: np.concatenate([each[name] for each in single]) for name in batch})


@pytest.mark.parametrize("hash_all", [None, 11])
def test_json_changes_nothing(hash_all):
    spec = fit(*EVERY, hash_all=hash_all)
    restored = FeatureSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert restored == spec
    assert restored.fingerprint == spec.fingerprint
    same(restored.encode(ITEMS), spec.encode(ITEMS))


def test_the_fingerprint_moves_with_what_was_learned():
    other = FeatureSpec.fit({"item": ITEMS.iloc[:3]}, EVERY)
    assert other.fingerprint != fit(*EVERY).fingerprint


def test_a_spec_is_frozen():
    with pytest.raises(FrozenInstanceError):
        fit(*EVERY).columns = ()


def test_hash_all_hashes_every_column_but_rates():
    spec = fit(*EVERY, hash_all=11)
    assert {each.column.encoder for each in spec.columns} == {"hash", "wilson"}
    assert {each.encoder.size for each in spec.columns if each.column.encoder == "hash"} == {12}


def test_an_entity_keeps_its_columns_alone():
    spec = fit(*EVERY, Column("age", "ordinal", "user", "person"))
    assert list(spec.for_entity("user").encode(USERS)) == ["age"]
    assert list(spec.encode(USERS, "user")) == ["age"]


def test_groups_of_users_and_items_stay_apart():
    spec = fit(Column("age", "ordinal", "user", "any"), Column("year", "quantile", "item", "any"))
    assert spec.groups == ("user.any", "item.any")


def test_columns_that_share_have_one_vocabulary():
    spec = fit(
        Column("genres", "multi_hot", "item", "kind"),
        Column("likes", "vocabulary", "user", "taste", {"share": "genres"}),
    )
    assert spec.columns[0].encoder.categories == spec.columns[1].encoder.categories
    assert spec.encode(USERS, "user")["likes"].tolist() == [2, 4, 3]


def test_hashed_columns_that_share_have_one_salt():
    likes = Column("likes", "hash", "user", "taste", {"share": "genres", "buckets": 999})
    spec = fit(Column("genres", "hash", "item", "kind", {"buckets": 999}), likes)
    assert spec.encode(ITEMS, "item")["genres"][0, 0] == spec.encode(USERS, "user")["likes"][0]


def test_unlike_columns_cannot_share():
    with pytest.raises(FeatureError, match="year, age cannot share 'year'"):
        fit(
            Column("year", "quantile", "item", "g"),
            Column("age", "vocabulary", "user", "g", {"share": "year"}),
        )


def test_hashed_columns_of_unlike_buckets_cannot_share():
    likes = Column("likes", "hash", "user", "taste", {"share": "genres", "buckets": 8})
    with pytest.raises(FeatureError, match="genres, likes cannot share"):
        fit(Column("genres", "hash", "item", "kind", {"buckets": 9}), likes)


@pytest.mark.parametrize("feedback", [columns.VALUE, columns.POSITIVE, columns.label("liked")])
def test_feedback_is_refused_as_a_feature(feedback):
    frames = {"item": ITEMS.assign(**{feedback: 1.0})}
    for column in (
        Column(feedback, "standard", "item", "g"),
        Column("x", "standard", "item", "g", {"source": feedback}),
    ):
        with pytest.raises(FeatureError, match=f"reads '{feedback}', which is feedback"):
            FeatureSpec.fit(frames, [column])


def test_a_missing_column_is_named():
    with pytest.raises(FeatureError, match="column 'genres' is missing"):
        fit(*EVERY).encode(ITEMS.drop(columns="genres"))


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (Column("year", "cubic", "item", "g"), "no encoder 'cubic'"),
        (Column("year", "quantile", "item", "g", {"bins": 3}), "column 'year'.*'bins'"),
        (Column("studio", "hash", "item", "g"), "column 'studio'.*'buckets'"),
        (Column("studio", "standard", "item", "g"), "column 'studio': could not convert"),
        (Column("genres", "vocabulary", "item", "g"), "column 'genres': a list"),
        (Column("clicks", "wilson", "item", "g"), "column 'clicks': 'trials'"),
        (Column("price", "standard", "item", "g"), "column 'price' is missing"),
        (Column("year", "standard", "shop", "g"), "no frame of entity 'shop'"),
    ],
)
def test_a_wrong_column_is_named(column, message):
    with pytest.raises(FeatureError, match=message):
        fit(column)


def test_a_name_stands_once():
    with pytest.raises(FeatureError, match="column 'year' stands twice"):
        fit(Column("year", "quantile", "item", "g"), Column("year", "standard", "item", "g"))


def test_a_value_that_is_no_number_is_told_with_its_column():
    with pytest.raises(FeatureError, match=r"column 'year' \(quantile\): could not convert"):
        fit(Column("year", "quantile", "item", "g")).encode({"year": ["soon"]})


@pytest.mark.parametrize("dtype", ["Int64", "Float64", "float32", "int32"])
def test_numbers_are_read_in_any_column_type(dtype):
    frame = pd.DataFrame({"year": pd.array([1990, 2001], dtype=dtype)})
    assert fit(Column("year", "quantile", "item", "g", {"buckets": 3})).encode(frame)["year"].tolist() == [
        1,
        3,
    ]


def test_missing_numbers_are_read_in_nullable_columns():
    frame = pd.DataFrame({"year": pd.array([None, 2001], dtype="Int64")})
    assert fit(Column("year", "quantile", "item", "g", {"buckets": 3})).encode(frame)["year"].tolist() == [
        0,
        3,
    ]


def test_a_spec_of_no_rows_can_be_fitted():
    encoders_of_values = [each for each in EVERY if each.name != "genres_hashed"]
    spec = FeatureSpec.fit({"item": ITEMS.iloc[:0]}, encoders_of_values)
    assert spec.encode(ITEMS)["item_id"].tolist() == [0, 0, 0, 0]


def test_a_dataset_yaml_becomes_columns():
    spec_module = pytest.importorskip("recsys.data.spec")
    dataset = spec_module.DatasetSpec.model_validate(
        {
            "name": "shop",
            "about": "",
            "licence": "",
            "interactions": {"file": "i", "columns": {"user_id": "u", "item_id": "i", "timestamp": "t"}},
            "tasks": {"bought": {"kind": "binary", "rule": "all"}},
            "items": {
                "file": "i",
                "id": "i",
                "attributes": {"price": {"type": "number", "encoder": "power"}},
            },
            "request": {"attributes": {"hour": {"encoder": "time_of_day"}}},
        }
    )
    assert columns_of(dataset) == (
        Column("price", "power", "item", "price", {}),
        Column("hour", "time_of_day", "request", "hour", {"source": "timestamp"}),
    )
