"""Interactions on disk, in shards of whole users."""

from collections.abc import Iterator
from dataclasses import replace
from weakref import ref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recsys.data.shards import Shards, sharded
from recsys.types import Interactions

N_USERS, N_ITEMS = 9, 5


def interactions(users, items, moments) -> Interactions:
    rows = len(users)
    return Interactions(
        user_idx=np.array(users, dtype=np.int32),
        item_idx=np.array(items, dtype=np.int32),
        timestamp=np.array(moments, dtype=np.int64),
        value=np.arange(rows, dtype=np.float32),
        labels={"liked": np.ones(rows, dtype=np.float32)},
        n_users=N_USERS,
        n_items=N_ITEMS,
        context={
            "device": np.array([None if user % 3 == 0 else f"d{user % 3}" for user in users], dtype=object),
            "hour": np.array([np.nan if user == 1 else user for user in users], dtype=np.float64),
        },
    )


ROWS = st.tuples(st.integers(0, N_USERS - 1), st.integers(0, N_ITEMS - 1), st.integers(0, 4))
PARTS = st.lists(st.lists(ROWS, max_size=12), min_size=1, max_size=4)


def told(each: Interactions) -> list[tuple[object, ...]]:
    return list(
        zip(
            each.user_idx.tolist(),
            each.item_idx.tolist(),
            each.timestamp.tolist(),
            each.value.tolist(),
            each.context["device"].tolist(),
            [None if np.isnan(hour) else hour for hour in each.context["hour"]],
            strict=True,
        )
    )


@given(parts=PARTS, n=st.integers(1, 4))
def test_shards_hold_every_row_once_and_each_user_s_in_one_in_the_order_of_time(tmp_path_factory, parts, n):
    parts = [interactions(*zip(*part, strict=True)) if part else interactions([], [], []) for part in parts]
    shards = Shards.write(parts, tmp_path_factory.mktemp("shards") / "s", n)
    read = [shards.read(shard) for shard in range(n)]
    assert sorted(map(repr, (row for each in read for row in told(each)))) == sorted(
        map(repr, (row for part in parts for row in told(part)))
    )
    users = [set(each.user_idx.tolist()) for each in read]
    assert sum(map(len, users)) == len(set().union(*users))
    assert all((np.diff(each.timestamp) >= 0).all() for each in read)
    assert tuple(map(len, read)) == shards.rows
    assert len(shards) == sum(map(len, parts))
    assert shards.user_counts.tolist() == sum(part.user_counts for part in parts).tolist()
    assert shards.item_counts.tolist() == sum(part.item_counts for part in parts).tolist()
    assert shards.newest == max(part.newest for part in parts)


def test_a_text_that_many_rows_hold_is_one_object(tmp_path):
    shards = Shards.write([interactions([1] * 50, [0] * 50, range(50))], tmp_path / "shards", 1)
    assert len({id(text) for text in shards.read(0).context["device"]}) == 1


def test_one_part_is_in_memory(tmp_path):
    made: list[ref[Interactions]] = []

    def parts() -> Iterator[Interactions]:
        for _ in range(4):
            assert not any(each() for each in made)
            part = interactions([1, 2], [0, 1], [0, 1])
            made.append(ref(part))
            yield part
            del part

    assert len(Shards.write(parts(), tmp_path / "shards", 2)) == 8


def test_rows_of_one_moment_stay_in_the_order_in_which_they_come(tmp_path):
    one = interactions([0] * 4, [3, 1, 4, 0], [7] * 4)
    shards = Shards.write([one[:2], one[2:]], tmp_path / "shards", 1)
    assert shards.read(0).item_idx.tolist() == [3, 1, 4, 0]


def test_what_stands_for_all_is_the_largest_shard(tmp_path):
    shards = Shards.write([interactions(range(9), [0] * 9, [0] * 9)], tmp_path / "shards", 3)
    assert len(shards.sample()) == max(shards.rows)


def test_parts_that_number_otherwise_leave_nothing(tmp_path):
    one = interactions([0], [0], [0])
    with pytest.raises(ValueError, match="the same users and items"):
        Shards.write([one, replace(one, n_users=N_USERS + 1)], tmp_path / "shards", 2)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("parts", "n"), [([], 2), ([interactions([0], [0], [0])], 0)])
def test_no_part_or_no_shard_is_an_error(tmp_path, parts, n):
    with pytest.raises(ValueError, match=r"no part|0 shards"):
        Shards.write(parts, tmp_path / "shards", n)


def test_shards_of_a_past_are_gone_afterwards_and_none_is_the_past_itself():
    past = interactions([0, 1], [0, 1], [0, 1])
    with sharded(past, 2) as train:
        assert isinstance(train, Shards)
        assert train.folder.is_dir()
    assert not train.folder.exists()
    with sharded(past, 0) as train:
        assert train is past


def test_a_past_that_nobody_else_needs_is_not_in_memory_while_its_shards_are_learned_from():
    made: list[ref[Interactions]] = []

    def past() -> Interactions:
        one = interactions([0, 1], [0, 1], [0, 1])
        made.append(ref(one))
        return one

    with sharded(past(), 2):
        assert made[0]() is None
