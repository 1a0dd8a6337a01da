from cache import AnswerCache
from hypothesis import given
from hypothesis import strategies as st
from wire import Reply

from recsys.serving import Ask

asks = st.builds(Ask, st.sampled_from("abcd"), st.integers(1, 3))
answers = st.builds(Reply, st.binary(max_size=3000))
puts = st.lists(st.tuples(asks, st.sampled_from(["r1", "r2"]), st.binary(max_size=2), answers))


@given(put=puts, most=st.integers(0, 10_000))
def test_what_it_holds_is_bounded_and_what_it_gives_was_put_last(put, most):
    cache, last = AnswerCache(most, 60), {}
    for ask, release, stored, answer in put:
        cache.put(ask, release, stored, answer)
        last[ask] = (release, stored, answer)
        assert 0 <= cache.size <= most
    for ask, (release, stored, answer) in last.items():
        assert cache.get(ask, release, stored) in (answer, None)
        assert cache.get(ask, "another", stored) is None
        assert cache.get(ask, release, stored + b"more") is None


def test_a_dropped_user_is_forgotten_and_its_room_is_free():
    cache = AnswerCache(10_000, 60)
    cache.put(Ask("a"), "r", b"", Reply(b"answer"))
    cache.drop("a")
    assert cache.get(Ask("a"), "r", b"") is None
    assert cache.size == 0


def test_an_old_answer_is_no_good():
    cache = AnswerCache(10_000, -1)
    cache.put(Ask("a"), "r", b"", Reply(b"answer"))
    assert cache.get(Ask("a"), "r", b"") is None
