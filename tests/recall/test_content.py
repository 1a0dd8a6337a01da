"""What the contract does not ask of content."""

import numpy as np
import pytest

from recsys.catalogue import Catalogue
from recsys.recall.content import ContentRecall
from recsys.types import PAD, Interactions, Requests
from recsys.vocabulary import Vocabulary

TITLES = ("Alien", "Aliens", "Alien 3", "Toy Story", "Toy Story 2", "The Toy", "Alienated", "!!!")
CATEGORIES = (("Horror",), ("Horror",), ("Horror",), ("Comedy",), ("Comedy",), ("Drama",), ("Comedy",), ())
NEVER_MET = 6


def catalogue() -> Catalogue:
    return Catalogue(Vocabulary.of([]), Vocabulary.of([f"i{n}" for n in range(8)]), TITLES, CATEGORIES)


def met(*items: int) -> Interactions:
    n = len(items)
    return Interactions(
        np.zeros(n, np.int32), np.asarray(items, np.int32), np.arange(n), np.ones(n, np.float32), {}, 1, 8
    )


TRAIN = met(*[item for item in range(8) if item != NEVER_MET])


def found(title_weight: float, *history: int, k: int = 7) -> list[int]:
    channel = ContentRecall(catalogue=catalogue(), text_dim=8, title_weight=title_weight).fit(TRAIN)
    items = channel.recall(Requests.of(np.array([0]), met(*history), 10), k).items[0]
    return [int(item) for item in items if item != PAD]


def test_titles_alone_find_what_is_called_alike():
    assert set(found(1.0, 0, k=2)) == {1, 2}
    assert set(found(1.0, 3, k=2)) == {4, 5}


def test_categories_alone_find_what_is_of_a_kind():
    assert set(found(0.0, 3, k=2)) == {4, NEVER_MET}


def test_an_item_that_train_never_met_is_found_too():
    assert NEVER_MET in found(1.0, 0, k=3)


def test_an_item_of_which_nothing_is_told_is_not():
    assert 7 not in found(0.5, 0)
    assert found(0.5, 7) == []


def test_cosines_are_weighed_by_part():
    both = ContentRecall(catalogue=catalogue(), text_dim=8, title_weight=0.3).fit(TRAIN).item_vectors
    parts = [
        ContentRecall(catalogue=catalogue(), text_dim=8, title_weight=weight).fit(TRAIN).item_vectors
        for weight in (1.0, 0.0)
    ]
    by_title, by_category = (vectors @ vectors.T for vectors in parts)
    np.testing.assert_allclose(
        (both @ both.T)[:6, :6], (0.3 * by_title + 0.7 * by_category)[:6, :6], atol=1e-5
    )


def test_words_of_items_that_train_never_met_are_not_learned():
    told = (*TITLES[:NEVER_MET], "Quixotic Quixotic", *TITLES[7:])
    other = Catalogue(Vocabulary.of([]), catalogue().items, told, CATEGORIES)
    one, two = (
        ContentRecall(catalogue=each, text_dim=8).fit(TRAIN).item_vectors for each in (catalogue(), other)
    )
    rest = np.arange(8) != NEVER_MET
    assert np.array_equal(one[rest], two[rest])


def test_without_a_catalogue_it_is_refused():
    with pytest.raises(ValueError, match="needs the catalogue"):
        ContentRecall().fit(TRAIN)


def test_a_weight_beyond_one_is_refused():
    with pytest.raises(ValueError, match="title_weight 2"):
        ContentRecall(title_weight=2)
