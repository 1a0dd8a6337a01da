import numpy as np
import pytest

from recsys.features.categorical import Categories, Frequency, Hash, MultiHot, OneHot, Ordinal
from recsys.features.values import FeatureError
from recsys.types import PAD


def texts(*values):
    return np.array(values, dtype=object)


def lists(*rows):
    return np.fromiter(rows, dtype=object, count=len(rows))


def test_categories_have_rows_in_the_order_of_the_alphabet_after_the_unknown():
    encoder = Categories.fit(texts("b", "a", "b"))
    assert encoder.encode(texts("a", "b", "c", None)).tolist() == [1, 2, 0, 0]


def test_size_counts_the_unknown_row():
    assert Categories.fit(texts("b", "a", "b")).size == 3


def test_categories_met_too_rarely_are_unknown():
    encoder = Categories.fit(texts("a", "b", "b"), min_count=2)
    assert encoder.encode(texts("a", "b")).tolist() == [0, 1]


@pytest.mark.parametrize(
    "typed", [texts("1995", None), np.array([1995.0, np.nan]), texts(1995, np.nan), np.array([1995, 7])]
)
def test_a_category_is_the_same_however_it_is_typed(typed):
    assert Categories.fit(texts("1995")).encode(typed).tolist() == [1, 0]


def test_float32_and_float64_of_a_number_are_one_category():
    encoder = Categories.fit(np.array([0.1]))
    assert encoder.encode(np.array([0.1], dtype=np.float32)).tolist() == [1]


def test_a_list_is_no_category():
    with pytest.raises(TypeError, match="a list"):
        Categories.fit(lists(["a"], ["b"]))


def test_multi_hot_is_padded_to_the_longest_row_of_fit():
    encoder = MultiHot.fit(lists(["a", "b", "c"], ["c"]))
    assert encoder.encode(lists(["c"], ["b", "a"])).tolist() == [[3, PAD, PAD], [2, 1, PAD]]


def test_multi_hot_cuts_longer_rows():
    encoder = MultiHot.fit(lists(["a", "b"]))
    assert encoder.encode(lists(["b", "z", "a"])).tolist() == [[2, 0]]


@pytest.mark.parametrize("nothing", [None, [], float("nan")])
def test_multi_hot_of_nothing_is_one_unknown(nothing):
    assert MultiHot.fit(lists(["a", "b"])).encode(lists(nothing)).tolist() == [[0, PAD]]


def test_hash_is_the_same_on_every_machine():
    encoder = Hash.fit(texts("x"), buckets=1000, salt="zip")
    assert encoder.encode(texts("90210", "10001", None)).tolist() == [966, 468, 0]


def test_hash_of_numbers_stays_within_its_buckets():
    ids = Hash.fit(np.zeros(1), buckets=7, salt="price").encode(np.linspace(0, 1, 500))
    assert set(ids.tolist()) == set(range(1, 8))


def test_hash_salts_differ():
    values = texts(*map(str, range(100)))
    one, other = (Hash.fit(values, buckets=50, salt=salt).encode(values) for salt in ("a", "b"))
    assert (one != other).mean() > 0.9


def test_hash_of_lists_is_padded():
    encoder = Hash.fit(lists(["a", "b"], ["c"]), buckets=10, salt="genres")
    assert encoder.kind == "ids"
    assert (encoder.encode(lists(["a"], None)) == PAD).tolist() == [[False, True], [False, True]]


def test_hash_without_buckets_is_refused():
    with pytest.raises(FeatureError, match="buckets must be positive"):
        Hash.fit(texts("a"), buckets=0, salt="s")


def test_one_hot_marks_the_category_or_the_unknown():
    assert OneHot.fit(texts("a", "b")).encode(texts("b", "?")).tolist() == [[0, 0, 1], [1, 0, 0]]


def test_ordinal_orders_numbers_by_size():
    encoder = Ordinal.fit(texts("9", "10", "100"))
    assert encoder.encode(texts("9", "10", "100")).tolist() == [[0.0], [0.5], [1.0]]


def test_ordinal_keeps_the_given_order():
    encoder = Ordinal.fit(texts("low", "high"), order=["low", "middle", "high"])
    assert encoder.encode(texts("high", "middle", "low")).tolist() == [[1.0], [0.5], [0.0]]


def test_ordinal_puts_the_unknown_at_the_median():
    encoder = Ordinal.fit(texts("1", "3", "3"))
    assert encoder.encode(texts("x", None)).tolist() == [[1.0], [1.0]]


def test_frequency_is_one_for_the_commonest_and_zero_for_the_unknown():
    encoder = Frequency.fit(texts("a", "a", "a", "b", None))
    assert encoder.encode(texts("a", "b", "c")).ravel() == pytest.approx([1, 0.5, 0])
