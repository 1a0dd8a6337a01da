"""The graph of items and the walks on it."""

import numpy as np
import pytest

from recsys.recall.walks import ItemGraph
from recsys.types import Interactions


def sequences(*rows: list[int], n_items: int = 8) -> Interactions:
    """A user a row: the items in the order met; users take turns."""
    steps = [(place, user, item) for user, row in enumerate(rows) for place, item in enumerate(row)]
    times, users, items = np.array(sorted(steps)).T
    n = len(steps)
    return Interactions(
        users.astype(np.int32), items.astype(np.int32), times, np.ones(n, np.float32), {}, len(rows), n_items
    )


def edges(graph: ItemGraph) -> dict[tuple[int, int], float]:
    rows = np.repeat(np.arange(len(graph.offsets) - 1), np.diff(graph.offsets))
    first = graph.offsets[:-1][rows]
    weights = np.diff(graph.weights, prepend=0)
    weights[first[np.diff(first, prepend=-1) > 0]] = graph.weights[first[np.diff(first, prepend=-1) > 0]]
    return dict(
        zip(zip(rows.tolist(), graph.neighbours.tolist(), strict=True), weights.tolist(), strict=True)
    )


LINE = sequences([0, 1, 2, 3, 4])
TRIANGLE_AND_TAIL = sequences([0, 1, 2, 0], [2, 3])


def test_an_edge_counts_who_went_along_it_either_way():
    found = edges(ItemGraph.of(sequences([0, 1, 2], [1, 0], [2, 1])))
    assert found == {(0, 1): 2, (1, 0): 2, (1, 2): 2, (2, 1): 2}


def test_an_item_met_again_at_once_is_no_edge_to_itself():
    assert edges(ItemGraph.of(sequences([0, 0, 1]))) == {(0, 1): 1, (1, 0): 1}


def test_the_last_of_one_user_and_the_first_of_the_next_are_not_linked():
    assert edges(ItemGraph.of(sequences([0, 1], [2, 3]))).keys() == {(0, 1), (1, 0), (2, 3), (3, 2)}


def test_walks_go_along_edges_and_start_everywhere_as_often():
    graph = ItemGraph.of(LINE)
    walks = graph.walks(per_item=4, length=9, p=0.5, q=2, seed=0)
    assert walks.shape == (20, 9)
    assert np.bincount(walks[:, 0]).tolist() == [4, 4, 4, 4, 4]
    assert (np.abs(np.diff(walks, axis=1)) == 1).all()


def test_an_item_without_links_is_no_start():
    assert ItemGraph.of(LINE).walks(1, 3, 1, 1, seed=0).max() == 4


def test_no_links_no_walks():
    assert ItemGraph.of(sequences([0], [1])).walks(3, 5, 1, 1, seed=0).shape == (0, 5)


def share(p: float, q: float, step: tuple[int, int, int]) -> float:
    """How often a walk that came from the first to the second item goes on to the third."""
    walks = ItemGraph.of(TRIANGLE_AND_TAIL).walks(2000, 3, p, q, seed=1)
    came = walks[(walks[:, 0] == step[0]) & (walks[:, 1] == step[1])]
    return float((came[:, 2] == step[2]).mean())


@pytest.mark.parametrize(("p", "q"), [(1.0, 1.0), (4.0, 1.0), (0.25, 1.0), (1.0, 0.2), (0.5, 4.0)])
def test_the_way_back_the_way_around_and_the_way_away_weigh_as_node2vec_says(p: float, q: float):
    # From 0 to 2: 0 is the way back, 1 is linked to 0, and 3 leads away; each edge weighs 1.
    weights = {0: 1 / p, 1: 1.0, 3: 1 / q}
    for item, weight in weights.items():
        assert share(p, q, (0, 2, item)) == pytest.approx(weight / sum(weights.values()), abs=0.04)


def test_heavier_edges_are_taken_more():
    walks = ItemGraph.of(sequences(*[[0, 1]] * 3, [0, 2])).walks(2000, 2, 1, 1, seed=0)
    assert (walks[walks[:, 0] == 0, 1] == 1).mean() == pytest.approx(3 / 4, abs=0.04)


def test_the_seed_decides():
    graph = ItemGraph.of(TRIANGLE_AND_TAIL)
    one, again, other = (graph.walks(3, 10, 0.5, 2, seed) for seed in (1, 1, 2))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
