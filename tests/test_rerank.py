import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from recsys.business_rules import Rules
from recsys.rerank import ALIKE, Move, Reranker, Traits
from recsys.types import DAY, PAD, Candidates
from recsys.vocabulary import Vocabulary

N_ITEMS = 12
NOW = np.array([10 * DAY])
FEW = settings(max_examples=60, deadline=None)


def traits_of(labels, fresh=()):
    marked = np.isin(np.arange(len(labels)), fresh)
    return Traits.of(labels, marked)


def reranker_of(labels, rules=None, fresh=(), **settings):
    traits = traits_of(labels, fresh)
    items = Vocabulary.of(range(len(labels)))
    bound = Rules.model_validate(rules or {}).bind(items, traits.categories, traits.names)
    return Reranker(traits, bound, **settings)


def ranked(*items, scores=None):
    """One list, scored 1.0, 0.9, ... unless told."""
    scores = 1 - np.arange(len(items)) / 10 if scores is None else scores
    return Candidates(np.array([items]), np.array([scores], dtype=np.float32))


def order(reranker, candidates, k, now=NOW):
    return reranker.rerank(candidates, now, k).items[0].tolist()


def test_with_everything_off_the_input_is_returned():
    given = ranked(3, 1, 2, 0, PAD, scores=[0.5, 0.5, 0.4, 0.1, -np.inf])
    got = reranker_of([["a"]] * 4).rerank(given, NOW, 5)
    np.testing.assert_array_equal(got.items, given.items)
    np.testing.assert_array_equal(got.scores, given.scores)
    assert got.before.tolist() == [[0, 1, 2, 3, PAD]]
    assert set(got.moves[0]) == {Move.NONE}


def test_a_list_shorter_than_k_is_padded():
    got = reranker_of([["a"]] * 2).rerank(ranked(1), NOW, 3)
    assert got.items.tolist() == [[1, PAD, PAD]]
    assert got.scores.tolist() == [[1, -np.inf, -np.inf]]


def test_no_users_get_no_lists():
    assert reranker_of([["a"]]).rerank(Candidates.none(0, 5), NOW[:0], 3).items.shape == (0, 3)


def test_an_order_that_its_scores_deny_is_kept():
    assert order(reranker_of([["a"]] * 3), ranked(0, 1, 2, scores=[0.1, 0.9, 0.5]), 3) == [0, 1, 2]


def test_a_boosted_category_rises_and_says_so():
    reranker = reranker_of([["a"], ["b"], ["b"]], {"boost": [{"category": "b", "weight": 1.2}]})
    got = reranker.rerank(ranked(0, 1, 2), NOW, 3)
    assert got.items.tolist() == [[1, 0, 2]]
    assert got.moves[0].tolist() == [Move.BOOST, Move.NONE, Move.NONE]


@pytest.mark.parametrize(("day", "expected"), [(8, [0, 1]), (9, [1, 0]), (10, [1, 0]), (11, [0, 1])])
def test_a_boost_holds_between_its_days_both_included(day, expected):
    rule = {"item": "1", "weight": 9, "from": "1970-01-10", "to": "1970-01-11"}
    now = np.array([day * DAY + DAY // 2])
    assert order(reranker_of([["a"]] * 2, {"boost": [rule]}), ranked(0, 1), 2, now) == expected


def test_profit_weighs_the_score():
    assert order(reranker_of([["a"]] * 2, {"profit": {"1": 1.2}}), ranked(0, 1), 2) == [1, 0]


def test_a_pinned_candidate_takes_its_place():
    reranker = reranker_of([["a"]] * 4, {"pin": [{"item": "3", "position": 2}]})
    got = reranker.rerank(ranked(0, 1, 2, 3), NOW, 3)
    assert got.items.tolist() == [[0, 3, 1]]
    assert got.before.tolist() == [[0, 3, 1]]
    assert got.moves[0].tolist() == [Move.NONE, Move.PIN, Move.NONE]


def test_a_pin_is_of_its_days():
    rules = {"pin": [{"item": "1", "position": 1, "to": "1970-01-09"}]}
    assert order(reranker_of([["a"]] * 2, rules), ranked(0, 1), 2) == [0, 1]


def test_a_pin_is_no_candidate_of_its_own():
    assert order(reranker_of([["a"]] * 4, {"pin": [{"item": "3", "position": 1}]}), ranked(0, 1), 2) == [0, 1]


def test_a_pin_beyond_a_short_list_leaves_no_hole():
    assert order(reranker_of([["a"]] * 3, {"pin": [{"item": "0", "position": 9}]}), ranked(0, 1), 3) == [
        1,
        0,
        PAD,
    ]


def test_pins_beyond_a_short_list_leave_the_nearer_one_its_place():
    pins = [{"item": "0", "position": 2}, {"item": "1", "position": 6}]
    assert order(reranker_of([["a"]] * 2, {"pin": pins}), ranked(0, 1), 2) == [1, 0]


def test_a_blocked_item_is_not_shown_though_pinned():
    rules = {"block": {"items": ["0"]}, "pin": [{"item": "0", "position": 1}]}
    assert order(reranker_of([["a"]] * 2, rules), ranked(0, 1), 2) == [1, PAD]


def test_a_blocked_category_is_not_shown():
    reranker = reranker_of([["a", "b"], ["a"]], {"block": {"categories": ["b"]}})
    assert order(reranker, ranked(0, 1), 2) == [1, PAD]


@pytest.mark.parametrize(("now", "expected"), [(10 * DAY - 1, [0, 1]), (10 * DAY, [1, PAD])])
def test_an_item_expires_at_its_moment(now, expected):
    reranker = reranker_of([["a"]] * 2, {"expiry": [{"item": "0", "at": "1970-01-11"}]})
    assert order(reranker, ranked(0, 1), 2, np.array([now])) == expected


def test_a_window_keeps_a_category_apart_and_says_so():
    got = reranker_of([["a"], ["a"], ["b"]], window=2).rerank(ranked(0, 1, 2), NOW, 3)
    assert got.items.tolist() == [[0, 2, 1]]
    assert got.moves[0].tolist() == [Move.NONE, Move.WINDOW, Move.NONE]


def test_a_window_counts_to_its_limit():
    labels = [["a"], ["a"], ["a"], ["b"], ["a"]]
    assert order(reranker_of(labels, window=4, limit=2), ranked(0, 1, 2, 3, 4), 5) == [0, 1, 3, 2, 4]


def test_items_without_category_pass_every_window():
    assert order(reranker_of([[], [], ["a"]], window=3), ranked(0, 1, 2), 3) == [0, 1, 2]


def test_mmr_prefers_what_is_unlike_the_list():
    # After item 0: item 1 is worth 0.5*0.9-0.5*1, item 2 0.5*0.8-0.
    reranker = reranker_of([["a"], ["a"], ["b"], ["a"]], relevance_weight=0.5)
    got = reranker.rerank(ranked(0, 1, 2, 3, scores=[1, 0.9, 0.8, 0]), NOW, 3)
    assert got.items.tolist() == [[0, 2, 1]]
    assert got.moves[0].tolist() == [Move.NONE, Move.DIVERSITY, Move.NONE]


def test_mmr_weighs_relevance_by_lambda():
    # After item 0: item 1 is worth 0.3*0.9-0.7*1, item 2 0.3*0.1-0.
    reranker = reranker_of([["a"], ["a"], ["b"], ["a"]], relevance_weight=0.3)
    assert order(reranker, ranked(0, 1, 2, 3, scores=[1, 0.9, 0.1, 0]), 3) == [0, 2, 1]


def test_mmr_looks_at_the_nearest_item_of_the_list():
    # Item 2 equals item 0; item 3 is halfway to both that are placed before it.
    labels = [["a"], ["b"], ["a"], ["a", "b"]]
    reranker = reranker_of(labels, relevance_weight=0.5)
    assert order(reranker, ranked(0, 1, 2, 3, scores=[1, 1, 0.1, 0]), 4) == [0, 1, 3, 2]


LABELS = st.lists(st.lists(st.sampled_from("abcd"), max_size=3), min_size=6, max_size=6)


@FEW
@given(LABELS, st.sampled_from([0.9, 0.5, 0.1]))
def test_dpp_takes_what_adds_most_to_the_determinant(labels, weight):
    reranker = reranker_of(labels, diversity="dpp", relevance_weight=weight)
    alike = ALIKE * reranker.traits.unit @ reranker.traits.unit.T
    np.fill_diagonal(alike, 1)
    relevance, placed = 1 - np.arange(6) / 5, []
    for item in order(reranker, ranked(*range(6), scores=relevance), 6):
        before = np.linalg.slogdet(alike[np.ix_(placed, placed)])[1]
        gain = {
            each: np.linalg.slogdet(alike[np.ix_([*placed, each], [*placed, each])])[1] - before
            for each in set(range(6)) - set(placed)
        }
        worth = {each: weight * relevance[each] + (1 - weight) * gain[each] for each in gain}
        assert worth[item] == pytest.approx(max(worth.values()), abs=1e-5)
        placed.append(item)


def test_a_fresh_item_is_taken_in_by_the_middle_of_its_part():
    got = reranker_of([["a"]] * 10, fresh=[9], fresh_share=0.1).rerank(ranked(*range(10)), NOW, 10)
    assert got.items.tolist() == [[0, 1, 2, 3, 4, 9, 5, 6, 7, 8]]
    assert got.moves[0, 5] == Move.FRESH


def test_the_fresh_share_is_rounded_up():
    assert order(reranker_of([["a"]] * 4, fresh=[3], fresh_share=0.05), ranked(0, 1, 2, 3), 3) == [0, 3, 1]


def test_fresh_items_that_rank_high_count():
    reranker = reranker_of([["a"]] * 4, fresh=[0, 3], fresh_share=0.25)
    assert order(reranker, ranked(0, 1, 2, 3), 4) == [0, 1, 2, 3]


def test_a_window_puts_a_fresh_item_off():
    labels = [["a"], ["b"], ["a"], ["b"]]
    reranker = reranker_of(labels, fresh=[3], fresh_share=0.25, window=2)
    assert order(reranker, ranked(0, 1, 2, 3), 4) == [0, 1, 2, 3]


OUT_OF_RANGE = [
    {"diversity": "none"},
    {"relevance_weight": 0},
    {"window": -1},
    {"limit": 0},
    {"fresh_share": 1.5},
]


@pytest.mark.parametrize("settings", OUT_OF_RANGE)
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        reranker_of([["a"]], **settings)


ITEM = st.integers(0, N_ITEMS - 1).map(str)
DAYS = st.sampled_from([{}, {"to": "1970-01-10"}, {"from": "1970-01-11"}, {"to": "1970-01-11"}])
WEIGHT = st.sampled_from([0.5, 1.5, 3.0])


@st.composite
def rulebooks(draw):
    pins = draw(st.lists(st.tuples(ITEM, st.integers(1, 6)), max_size=3))
    distinct = len({i for i, _ in pins}) == len({p for _, p in pins}) == len(pins)
    return {
        "boost": [
            {"category": draw(st.sampled_from("abc")), "weight": draw(WEIGHT)} | draw(DAYS)
            for _ in range(draw(st.integers(0, 2)))
        ],
        "pin": [{"item": item, "position": place} for item, place in pins] if distinct else [],
        "block": {"items": draw(st.lists(ITEM, max_size=2))},
        "expiry": [{"item": draw(ITEM), "at": draw(st.sampled_from(["1970-01-05", "1970-02-01"]))}],
    }


@st.composite
def situations(draw):
    """A re-ranker with some of everything, lists for it, and k."""
    labels = [*("abc"), *draw(st.lists(st.lists(st.sampled_from("abc"), max_size=2), min_size=9, max_size=9))]
    reranker = reranker_of(
        labels,
        draw(rulebooks()),
        fresh=draw(st.sets(st.integers(0, N_ITEMS - 1))),
        diversity=draw(st.sampled_from(["mmr", "dpp"])),
        relevance_weight=draw(st.sampled_from([1.0, 0.7, 0.3])),
        window=draw(st.integers(0, 4)),
        limit=draw(st.integers(1, 2)),
        fresh_share=draw(st.sampled_from([0.0, 0.1, 0.5])),
    )
    n, m = draw(st.integers(1, 4)), draw(st.integers(0, N_ITEMS))
    rows = [draw(st.permutations(range(N_ITEMS)))[:m] for _ in range(n)]
    scores = -np.sort(-draw(hnp.arrays(np.float32, (n, m), elements=st.integers(0, 8).map(lambda x: x / 8))))
    lengths = draw(hnp.arrays(np.int64, (n, 1), elements=st.integers(0, m)))
    inside = np.arange(m) < lengths
    items = np.where(inside, np.array(rows, dtype=np.int64).reshape(n, m), PAD)
    candidates = Candidates(items, np.where(inside, scores, np.float32(-np.inf)))
    now = draw(hnp.arrays(np.int64, n, elements=st.sampled_from([8 * DAY, 9 * DAY, 10 * DAY, 11 * DAY])))
    return reranker, candidates, now, draw(st.integers(1, 8))


def eligible(reranker, candidates, now, row):
    items = candidates.items[row]
    items = items[items != PAD]
    gone = reranker.rules.blocked[items] | (now[row] >= reranker.rules.expires[items])
    return items[~gone]


@FEW
@given(situations())
def test_blocked_and_expired_never_appear_and_all_else_fills_the_list_once(situation):
    reranker, candidates, now, k = situation
    got = reranker.rerank(candidates, now, k)
    for row, items in enumerate(got.items):
        shown = items[items != PAD]
        allowed = eligible(reranker, candidates, now, row)
        assert set(shown) <= set(allowed)
        assert len(set(shown)) == len(shown) == min(k, len(allowed))
        assert (items[len(shown) :] == PAD).all()


@FEW
@given(situations())
def test_places_before_lead_back_to_items_and_scores(situation):
    reranker, candidates, now, k = situation
    got = reranker.rerank(candidates, now, k)
    rows, places = np.nonzero(got.items != PAD)
    before = got.before[rows, places]
    np.testing.assert_array_equal(candidates.items[rows, before], got.items[rows, places])
    np.testing.assert_array_equal(candidates.scores[rows, before], got.scores[rows, places])


@FEW
@given(situations())
def test_pinned_items_stand_at_their_place(situation):
    reranker, candidates, now, k = situation
    got = reranker.rerank(candidates, now, k)
    for row, items in enumerate(got.items):
        allowed = eligible(reranker, candidates, now, row)
        for pin in reranker.rules.pins:
            if pin.item in allowed and pin.place < min(k, len(allowed)):
                assert items[pin.place] == pin.item


@FEW
@given(situations())
def test_a_batch_is_answered_as_one_by_one(situation):
    reranker, candidates, now, k = situation
    batch = reranker.rerank(candidates, now, k)
    for row in range(len(candidates)):
        one = reranker.rerank(candidates[row : row + 1], now[row : row + 1], k)
        for part in ("items", "scores", "before", "moves"):
            np.testing.assert_array_equal(getattr(one, part)[0], getattr(batch, part)[row])


@FEW
@given(situations())
def test_a_window_is_broken_only_where_every_item_left_would_break_it(situation):
    reranker, candidates, now, k = situation
    main = reranker.traits.main
    got = reranker.rerank(candidates, now, k)
    pinned = {pin.item for pin in reranker.rules.pins}

    def breaks(item, placed):
        last = placed[max(len(placed) - reranker.window + 1, 0) :]
        return main[item] != PAD and (main[last] == main[item]).sum() >= reranker.limit

    for row, items in enumerate(got.items):
        allowed = eligible(reranker, candidates, now, row)
        for place, item in enumerate(items[items != PAD]):
            if reranker.window > 1 and item not in pinned and breaks(item, items[:place]):
                left = set(allowed) - set(items[:place]) - pinned
                assert all(breaks(each, items[:place]) for each in left)


@FEW
@given(situations())
def test_the_fresh_share_is_met_where_candidates_and_windows_allow(situation):
    reranker, candidates, now, k = situation
    if reranker.window > 1 or reranker.rules.pins:
        return
    got = reranker.rerank(candidates, now, k)
    for row, items in enumerate(got.items):
        available = reranker.traits.fresh[eligible(reranker, candidates, now, row)].sum()
        shown = items[items != PAD]
        assert reranker.traits.fresh[shown].sum() >= min(available, math.ceil(reranker.fresh_share * k))


@FEW
@given(situations())
def test_a_shorter_list_is_the_beginning_of_a_longer_one(situation):
    reranker, candidates, now, k = situation
    if reranker.fresh_share:
        return
    shorter, longer = (reranker.rerank(candidates, now, length).items for length in (k, k + 2))
    np.testing.assert_array_equal(shorter, longer[:, :k])
