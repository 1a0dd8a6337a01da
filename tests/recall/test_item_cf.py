import subprocess
import sys

import numpy as np
import pytest

from recsys.recall.item_cf import ItemCfRecall
from recsys.types import DAY, PAD, Interactions, Requests


def sequences(*rows: list[int], n_items: int = 8, every: int = DAY) -> Interactions:
    """A user a row: the items in the order met, one every ``every`` seconds."""
    places = [(place * every, user, item) for user, row in enumerate(rows) for place, item in enumerate(row)]
    times, users, items = np.array(sorted(places, key=lambda each: each[0])).T
    return Interactions(
        user_idx=users.astype(np.int32),
        item_idx=items.astype(np.int32),
        timestamp=times.astype(np.int64),
        value=np.ones(len(users), np.float32),
        labels={},
        n_users=len(rows),
        n_items=n_items,
    )


def off(**weights: object) -> ItemCfRecall:
    """All weights off but those named."""
    plain = {"iuf": False, "age_decay": 0.0, "step_decay": 0.0, "backward": 1.0, "power": 0.0}
    return ItemCfRecall(**{**plain, "history_decay": 0.0, **weights})


def similarity(channel: ItemCfRecall, item: int, other: int) -> float:
    found = channel.similar(np.array([item]), 100)
    return dict(zip(found.items[0].tolist(), found.scores[0].tolist(), strict=True)).get(other, 0.0)


def asked_by(history: list[int], values: list[float] | None = None) -> Requests:
    past = sequences(history)
    if values:
        past.value[:] = values
    return Requests.of(np.array([0]), past, 1000 * DAY)


def test_without_weights_a_similarity_counts_users():
    assert similarity(off().fit(sequences([0, 1], [1, 0], [0, 2])), 0, 1) == 2


def test_iuf_discounts_the_active():
    channel = off(iuf=True).fit(sequences([0, 1], [0, 2, 3, 4]))
    assert similarity(channel, 0, 1) == pytest.approx(1 / np.log(3))
    assert similarity(channel, 0, 2) == pytest.approx(1 / np.log(5))


def test_time_decay_discounts_the_distant():
    channel = off(time_decay=0.1).fit(sequences([0, 1, 2]))
    assert similarity(channel, 0, 2) == pytest.approx(np.exp(-0.2), rel=0.01)


def test_step_decay_discounts_by_place_whatever_the_clock():
    channel = off(step_decay=0.1).fit(sequences([0, 1, 2], every=1))
    assert similarity(channel, 0, 2) == pytest.approx(np.exp(-0.2))


def test_backward_discounts_what_came_before():
    channel = off(backward=0.25).fit(sequences([0, 1]))
    assert (similarity(channel, 0, 1), similarity(channel, 1, 0)) == (1, 0.25)


def test_backward_0_knows_only_what_came_after():
    assert similarity(off(backward=0).fit(sequences([0, 1])), 1, 0) == 0


def test_age_decay_discounts_users_long_gone():
    # The second user leaves a day before the newest event.
    channel = off(age_decay=0.5).fit(sequences([0, 1, 2], [3, 4]))
    assert similarity(channel, 3, 4) / similarity(channel, 0, 1) == pytest.approx(np.exp(-0.5))


def test_category_weight_favours_a_shared_category():
    categories = np.array([0b01, 0b11, 0b10, 0, 0, 0, 0, 0], np.uint64)
    channel = off(category_weight=2.0, categories=categories).fit(sequences([0, 1, 2]))
    assert (similarity(channel, 0, 1), similarity(channel, 0, 2)) == (2, 1)


def test_category_weight_without_categories_is_refused():
    with pytest.raises(ValueError, match="needs categories"):
        ItemCfRecall(category_weight=2.0)


def test_a_category_weight_of_0_is_refused():
    with pytest.raises(ValueError, match="is not above 0"):
        ItemCfRecall(category_weight=0.0, categories=np.zeros(8, np.uint64))


def test_a_negative_decay_is_refused():
    with pytest.raises(ValueError, match="time_decay -1 is below 0"):
        ItemCfRecall(time_decay=-1)


def test_power_one_half_is_the_cosine():
    assert similarity(off(power=0.5).fit(sequences([0, 1], [0])), 0, 1) == pytest.approx(1 / np.sqrt(2))


def test_shrinkage_holds_back_the_rare():
    assert similarity(off(power=0.5, shrinkage=3).fit(sequences([0, 1])), 0, 1) == pytest.approx(1 / 4)


def test_the_newest_of_the_history_counts_most():
    channel = off(history_decay=1.0).fit(sequences([0, 1], [2, 3]))
    assert channel.recall(asked_by([2, 0]), 2).items.tolist() == [[1, 3]]
    assert channel.recall(asked_by([0, 2]), 2).items.tolist() == [[3, 1]]


def test_what_lies_before_the_last_n_counts_nothing():
    channel = off(n_last=1).fit(sequences([0, 1], [2, 3]))
    assert channel.recall(asked_by([0, 2]), 2).items.tolist() == [[3, PAD]]


def test_a_higher_value_counts_more():
    channel = off(value_power=1.0).fit(sequences([0, 1], [2, 3]))
    assert channel.recall(asked_by([0, 2], [5, 1]), 2).scores.tolist() == [[5, 1]]


def test_a_user_whom_train_does_not_know_is_answered_by_history():
    channel = off().fit(sequences([0, 1]))
    asked = Requests(np.array([PAD]), np.array([0]), sequences([0]).histories(np.array([0])))
    assert channel.recall(asked, 1).items.tolist() == [[1]]


def test_because_names_the_item_that_spoke_most():
    channel = off().fit(sequences([0, 5], [1, 5], [1, 5], [2, 6]))
    assert channel.because(asked_by([0, 1, 2]), np.array([[5, 6, 7, PAD]])).tolist() == [[1, 2, PAD, PAD]]


def test_because_of_no_history_is_nothing():
    channel = off().fit(sequences([0, 5]))
    stranger = Requests.of(np.array([PAD]), sequences([0, 5]), 0)
    assert channel.because(stranger, np.array([[5]])).tolist() == [[PAD]]


def test_because_of_a_batch_is_because_of_each():
    rng = np.random.default_rng(0)
    train = sequences(*[rng.permutation(8)[:4].tolist() for _ in range(20)])
    channel = ItemCfRecall(step_decay=0.1).fit(train)
    asked = Requests.of(np.arange(20), train, 1000 * DAY)
    items = channel.recall(asked, 4).items
    batch = channel.because(asked, items)
    assert all(np.array_equal(channel.because(asked[[row]], items[[row]]), batch[[row]]) for row in range(20))
    assert (batch[items != PAD] != PAD).all()


def test_similar_to_an_unknown_item_is_nothing():
    assert (off().fit(sequences([0, 1])).similar(np.array([PAD]), 3).items == PAD).all()


def test_answering_imports_nothing_that_only_training_needs(tmp_path):
    off().fit(sequences([0, 1])).save(tmp_path)
    code = (
        "import sys; from pathlib import Path; from recsys.recall import channel; "
        f"channel('item_cf').load(Path({str(tmp_path)!r})); "
        "sys.exit(bool({'torch', 'implicit', 'faiss', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
