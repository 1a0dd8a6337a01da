import json

import numpy as np
import pytest

from recsys.features.encoders import restore, state_of
from recsys.features.spec import Column, FeatureSpec
from recsys.features.text import Text
from recsys.features.values import FeatureError

TITLES = np.array(
    ["Toy Story (1995)", "Toy Story 2 (1999)", "Story of Toys", "Alien (1979)", "Aliens (1986)", "Alien 3"],
    object,
)


def cosine(encoder: Text, one: str, other: str) -> float:
    vectors = encoder.encode(np.array([one, other], object))
    return float(vectors[0] @ vectors[1])


def test_vectors_are_of_the_size_and_of_length_one():
    vectors = Text.fit(TITLES, size=4).encode(TITLES)
    assert vectors.shape == (6, 4)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)


def test_texts_of_the_same_words_lie_together():
    vectors = Text.fit(TITLES, size=2).encode(TITLES)
    nearness = vectors @ vectors.T
    assert nearness[:3, :3].min() > nearness[:3, 3:].max()


def test_a_word_is_known_by_its_parts():
    encoder = Text.fit(TITLES, size=4)
    assert cosine(encoder, "Alienated", "Alien") > 0.5 > cosine(encoder, "Alienated", "Toy")


def test_without_letters_only_whole_words_count():
    assert not Text.fit(TITLES, size=4, letters=None).encode(np.array(["Alienated"], object)).any()


def test_case_and_marks_do_not_matter():
    assert cosine(Text.fit(TITLES, size=4), "TOY, story!", "toy story") == pytest.approx(1)


@pytest.mark.parametrize("nothing", [None, "", "xyzzy", float("nan")])
def test_nothing_known_is_zeros(nothing):
    values = np.empty(1, object)
    values[0] = nothing
    assert not Text.fit(TITLES, size=4).encode(values).any()


def test_labels_are_terms_as_they_are():
    rows = np.fromiter([["Sci-Fi", "Drama"], ["Sci-Fi"], ["Drama"], ["Musical"], None], object, 5)
    vectors = Text.fit(rows, size=8, min_count=1).encode(rows)
    assert vectors[0] @ vectors[1] > 0.5
    assert vectors[1] @ vectors[3] == pytest.approx(0, abs=1e-6)
    assert not vectors[4].any()


def test_at_full_size_the_cosine_is_that_of_tf_idf():
    rows = np.array(["a b", "a c", "b c c", "d d"], object)
    vectors = Text.fit(rows, size=4, letters=None, min_count=1).encode(rows).astype(float)
    idf = {term: np.log(5 / (1 + n)) + 1 for term, n in {"a": 2, "b": 2, "c": 2, "d": 1}.items()}
    assert vectors[0] @ vectors[1] == pytest.approx(
        idf["a"] ** 2 / np.sqrt((idf["a"] ** 2 + idf["b"] ** 2) * (idf["a"] ** 2 + idf["c"] ** 2)), abs=1e-5
    )


def test_the_rarest_terms_are_left_out():
    encoder = Text.fit(TITLES, letters=None, min_count=2)
    assert encoder.terms == ("=alien", "=story", "=toy")
    assert Text.fit(TITLES, letters=None, max_terms=1).terms == ("=story",)


def test_one_value_as_among_others():
    encoder = Text.fit(TITLES, size=3)
    alone = np.concatenate([encoder.encode(TITLES[row : row + 1]) for row in range(len(TITLES))])
    assert np.array_equal(alone, encoder.encode(TITLES))


def test_the_same_state_twice():
    assert state_of(Text.fit(TITLES, size=3)) == state_of(Text.fit(TITLES, size=3))


@pytest.mark.parametrize("values", [TITLES[:1], TITLES[:0], np.array([None, None], object)])
def test_too_little_to_learn_from_is_no_fault(values):
    assert Text.fit(values, size=3).encode(TITLES).shape == (6, 3)


def test_a_spec_keeps_it_through_json():
    spec = FeatureSpec.fit(
        {"item": {"title": TITLES}}, [Column("title", "text", "item", "title", {"size": 3})]
    )
    again = FeatureSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again.fingerprint == spec.fingerprint
    assert np.array_equal(again.encode({"title": TITLES})["title"], spec.encode({"title": TITLES})["title"])


def test_restored_it_is_the_same():
    encoder = Text.fit(TITLES, size=3)
    assert restore("text", json.loads(json.dumps(state_of(encoder)))) == encoder


@pytest.mark.parametrize("options", [{"size": 0}, {"letters": [4, 3]}, {"letters": [0, 2]}])
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(FeatureError, match=next(iter(options))):
        Text.fit(TITLES, **options)
