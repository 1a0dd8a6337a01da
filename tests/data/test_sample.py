import numpy as np
import pytest

from recsys.data.prepare import prepare
from recsys.data.report import DataError


@pytest.fixture
def ready(folder):
    def of(sample, seed=0):
        return prepare(folder, folder / "raw", seed=seed, sample=sample)

    return of


def rows(dataset, users):
    """(user id, item id, moment) of all interactions of ``users``, in order."""
    inter = dataset.interactions
    told = np.column_stack(
        [
            dataset.user_vocabulary.decode(inter.user_idx),
            dataset.item_vocabulary.decode(inter.item_idx),
            inter.timestamp,
        ]
    )
    return told[np.isin(told[:, 0].astype(str), list(users))].tolist()


def test_a_sample_has_its_fraction_of_users(ready):
    assert [len(ready(fraction).users) for fraction in (1.0, 0.5, 0.1, 0.001)] == [60, 30, 6, 1]


def test_sampled_users_keep_their_whole_histories_in_order(ready):
    whole, sample = ready(1.0), ready(0.3)
    users = set(sample.users.user_id)
    assert rows(sample, users) == rows(whole, users)


def test_sampled_users_keep_their_attributes(ready):
    whole, sample = ready(1.0), ready(0.3)
    same = whole.users[whole.users.user_id.isin(sample.users.user_id)].reset_index(drop=True)
    assert sample.users.equals(same)


def test_every_item_stays(ready):
    assert ready(0.1).items.equals(ready(1.0).items)


def test_a_smaller_sample_is_part_of_a_larger(ready):
    assert set(ready(0.1).users.user_id) < set(ready(0.4).users.user_id)


def test_the_seed_decides_who(ready):
    assert set(ready(0.3).users.user_id) == set(ready(0.3).users.user_id)
    assert set(ready(0.3).users.user_id) != set(ready(0.3, seed=1).users.user_id)


@pytest.mark.parametrize("fraction", [0.0, -0.5, 1.5, float("nan")])
def test_an_impossible_fraction_is_refused(ready, fraction):
    with pytest.raises(DataError, match="sample must be over 0 and at most 1"):
        ready(fraction)
