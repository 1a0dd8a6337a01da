"""What towers read."""

import numpy as np
import pytest

from recsys.data.dataset import Dataset
from recsys.features.attributes import Attributes
from recsys.features.history import HISTORY_IDS
from recsys.recall.tower_inputs import TowerInputs
from recsys.types import PAD, Requests

NOW = 2_000_000_000


@pytest.fixture(scope="module")
def inputs(dataset: Dataset) -> TowerInputs:
    past = dataset.fold("global_time", "valid").past
    return TowerInputs.fit(past, Attributes.of(dataset), 4)


@pytest.fixture(scope="module")
def past(dataset: Dataset):
    return dataset.fold("global_time", "valid").past


def test_an_unknown_user_is_encoded_as_one_of_whom_nothing_is_told(inputs: TowerInputs, past, dataset):
    got = inputs.of_requests(Requests.of(np.array([PAD]), past, NOW))
    silent = {name: np.array([None], dtype=object) for name in dataset.users}
    for name, values in inputs.spec.encode(silent, "user").items():
        assert np.array_equal(got[name], values)


def test_items_that_train_has_not_met_are_no_items_of_a_history(inputs: TowerInputs, past, dataset):
    unmet = np.setdiff1d(np.arange(past.n_items), past.item_idx)
    assert len(unmet)
    assert not inputs.rows[unmet].any()
    everything = dataset.interactions
    ids = inputs.of_requests(Requests.of(np.arange(past.n_users), everything, NOW))[HISTORY_IDS]
    assert not np.isin(ids, unmet + 1).any()


def test_known_is_who_has_attributes_or_a_history(inputs: TowerInputs, past):
    users = np.array([PAD, int(past.user_idx[0])])
    requests = Requests.of(users, past, NOW)
    assert inputs.known(users, inputs.of_requests(requests)).tolist() == [False, True]
    nobody = Requests.of(users, past[:0], NOW)
    assert inputs.known(users, inputs.of_requests(nobody)).tolist() == [False, True]
    bare = TowerInputs.fit(past, None, 4)
    assert bare.known(users, bare.of_requests(nobody)).tolist() == [False, False]


def test_save_and_load_change_nothing(inputs: TowerInputs, past, tmp_path):
    inputs.save(tmp_path)
    loaded = TowerInputs.load(tmp_path)
    requests = Requests.of(np.arange(past.n_users), past, NOW)
    before, after = inputs.of_requests(requests), loaded.of_requests(requests)
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    assert loaded.spec.fingerprint == inputs.spec.fingerprint
