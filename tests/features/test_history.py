import json

import numpy as np
import pytest

from recsys.features.history import HISTORY_AGE, HISTORY_IDS, HISTORY_VALUE, HistoryEncoder
from recsys.types import DAY, PAD, Interactions, Requests

TRAIN = Interactions(
    user_idx=np.array([0, 1, 0, 0], dtype=np.int32),
    item_idx=np.array([5, 2, 6, 7], dtype=np.int32),
    timestamp=np.array([0, 1, 2, 3], dtype=np.int64) * DAY,
    value=np.array([1, 5, 5, 3], dtype=np.float32),
    labels={},
    n_users=2,
    n_items=8,
)


def encode(encoder, users, now=4 * DAY):
    requests = Requests.of(np.array(users), TRAIN, now)
    return encoder.encode(requests.history, requests.now)


ENCODER = HistoryEncoder(length=3, low=1, high=5)


def test_ids_are_the_last_items_newest_first():
    assert encode(HistoryEncoder(2, 1, 5), [0, 1])[HISTORY_IDS].tolist() == [[7, 6], [2, PAD]]


def test_age_is_the_log_of_days():
    assert encode(ENCODER, [0])[HISTORY_AGE] == pytest.approx(np.log1p([[1, 2, 4]]))


def test_age_of_an_event_after_now_is_zero():
    assert encode(ENCODER, [1], now=0)[HISTORY_AGE].tolist() == [[0, 0, 0]]


def test_values_are_scaled_to_the_range_of_training():
    assert encode(ENCODER, [0, 1])[HISTORY_VALUE].tolist() == [[0.5, 1, 0], [1, 0, 0]]


def test_feedback_of_one_value_weighs_one():
    assert encode(HistoryEncoder(3, 1, 1), [1])[HISTORY_VALUE].tolist() == [[1, 0, 0]]


def test_one_absurd_value_does_not_set_the_range():
    value = np.append(np.ones(999), 1e9).astype(np.float32)
    train = Interactions(*[np.zeros(1000, dtype=np.int64)] * 3, value, {}, 1, 1)
    assert HistoryEncoder.fit(train).high == 1


def test_an_unknown_user_has_padding_only():
    got = encode(ENCODER, [PAD])
    assert got[HISTORY_IDS].tolist() == [[PAD] * 3]
    assert not got[HISTORY_AGE].any()


def test_json_changes_nothing():
    encoder = HistoryEncoder.fit(TRAIN, length=4)
    assert HistoryEncoder.from_json(json.loads(json.dumps(encoder.to_json()))) == encoder
