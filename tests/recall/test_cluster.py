"""What the contract does not ask of clusters."""

import numpy as np
import pytest

from recsys.recall.cluster import ClusterRecall
from recsys.types import PAD, Interactions, Requests

N_GROUPS, SIZE, N_USERS = 4, 10, 8
N_ITEMS = N_GROUPS * SIZE


def item_vectors() -> np.ndarray:
    """Items of a group stand around one axis."""
    rng = np.random.default_rng(0)
    axes = np.repeat(np.eye(N_GROUPS), SIZE, axis=0)
    return (axes + 0.1 * rng.normal(size=axes.shape)).astype(np.float32)


def train() -> Interactions:
    """User u met four items of group u % 4; every item but the last was met."""
    users = np.repeat(np.arange(N_USERS), 4)
    items = (users % N_GROUPS) * SIZE + np.tile(np.arange(4), N_USERS) + 4 * (users // N_GROUPS)
    rest = np.setdiff1d(np.arange(N_ITEMS - 1), items)
    users, items = np.append(users, rest // SIZE), np.append(items, rest)
    n = len(users)
    return Interactions(
        users.astype(np.int32),
        items.astype(np.int32),
        np.arange(n),
        np.ones(n, np.float32),
        {},
        N_USERS,
        N_ITEMS,
    )


TRAIN = train()


def fitted(**params: object) -> ClusterRecall:
    return ClusterRecall(item_vectors=item_vectors(), **{"n_clusters": 4, "n_probe": 1, **params}).fit(TRAIN)


def ask(users: list[int] | np.ndarray = range(N_USERS), past: Interactions = TRAIN) -> Requests:
    return Requests.of(np.asarray(users), past, 10_000)


def test_each_item_of_train_is_a_member_of_one_cluster():
    channel = fitted()
    assert sorted(channel.items_) == list(range(N_ITEMS - 1))
    groups = [set(channel.members(cluster) // SIZE) for cluster in range(4)]
    assert sorted(groups, key=min) == [{0}, {1}, {2}, {3}]


def test_the_kernel_is_the_member_nearest_to_the_centroid():
    channel = fitted()
    for cluster, kernel in enumerate(channel.kernels_):
        members = channel.members(cluster)
        nearness = channel.vectors_[members] @ channel.centroids_[cluster]
        assert kernel == members[0] == members[nearness.argmax()]


def test_only_members_of_probed_clusters_are_found():
    found = fitted(n_probe=1).recall(ask([1]), N_ITEMS).items[0]
    assert set(found[found != PAD] // SIZE) == {1}


def test_all_clusters_probed_are_exact_search():
    channel = fitted(n_probe=4, decay=1.0)
    found = channel.recall(ask([2]), 20).items[0]
    history = TRAIN.item_idx[TRAIN.user_idx == 2]
    unit = channel.vectors_
    scores = unit @ unit[history].mean(axis=0)
    scores[history] = scores[N_ITEMS - 1] = -np.inf
    assert found.tolist() == np.argsort(-scores)[:20].tolist()


def test_recall_of_exact_search_grows_to_one_with_the_probes():
    shares = [fitted().recall_of_exact_search(ask(), 20, n).mean() for n in (1, 2, 3, 4)]
    assert shares == sorted(shares)
    assert shares[0] < 1
    assert shares[-1] == 1


def test_recall_of_exact_search_is_nan_without_history():
    assert np.isnan(fitted().recall_of_exact_search(ask([PAD]), 5, 1)).all()


def test_the_share_scored_is_that_of_the_nearest_clusters_members():
    channel = fitted()
    requests = ask([0, PAD])
    sizes = {len(channel.members(cluster)) / (N_ITEMS - 1) for cluster in range(4)}
    assert channel.share_scored(requests, 1)[0] in sizes
    assert channel.share_scored(requests, 4).tolist() == [1, 0]


def test_newer_items_weigh_more_as_decay_falls():
    late = np.array([0, 0, SIZE]), np.array([0, 1, 2])
    past = Interactions(
        np.zeros(3, np.int32), late[0].astype(np.int32), late[1], np.ones(3, np.float32), {}, 1, N_ITEMS
    )
    first = [fitted(decay=decay).recall(ask([0], past), 1).items[0, 0] // SIZE for decay in (1.0, 0.1)]
    assert first == [0, 1]


def test_items_of_low_value_weigh_less_where_value_counts():
    values = np.array([1, 1, 5], np.float32)
    past = Interactions(
        np.zeros(3, np.int32), np.array([0, 1, SIZE], np.int32), np.arange(3), values, {}, 1, N_ITEMS
    )
    rated = Interactions(
        TRAIN.user_idx, TRAIN.item_idx, TRAIN.timestamp, 1.0 + np.arange(len(TRAIN)) % 5, {}, N_USERS, N_ITEMS
    )
    first = []
    for power in (0.0, 1.0):
        channel = ClusterRecall(
            item_vectors=item_vectors(), n_clusters=4, n_probe=1, decay=1, value_power=power
        )
        first.append(channel.fit(rated).recall(ask([0], past), 1).items[0, 0] // SIZE)
    assert first == [0, 1]


def test_more_clusters_than_items_are_as_many_as_items():
    assert len(fitted(n_clusters=1000).centroids_) == N_ITEMS - 1


def test_vectors_of_another_catalogue_are_refused():
    with pytest.raises(ValueError, match="3 item vectors for 40 items"):
        ClusterRecall(item_vectors=item_vectors()[:3]).fit(TRAIN)
