from cache import AnswerCache
from hypothesis import given
from hypothesis import strategies as st
from wire import JSON, Reply

from recsys.serving import Ask

asks = st.builds(Ask, st.sampled_from("abcd"), st.integers(1, 3))
answers = st.builds(Reply, st.binary(max_size=3000), st.just(200), st.just((JSON,)), st.none(), st.none())
puts = st.lists(st.tuples(asks, st.sampled_from(["r1", "r2"]), st.binary(max_size=2), answers))


@given(put=puts, most=st.integers(0, 10_000))
def test_what_it_gives_was_put_last_and_all_of_it_is_bounded(put, most):
    cache, last = AnswerCache(most, 60), {}
    for ask, release, stored, answer in put:
        cache.put(ask, release, stored, answer)
        last[ask] = release, stored, answer
        given_ = [cache.get(other, *known[:2]) for other, known in last.items()]
        assert sum(len(each.content) for each in given_ if each is not None) <= most
        for each, (release, _, answer) in zip(given_, last.values(), strict=True):
            assert each in (answer._replace(release=release), None)
    for ask, (release, stored, _) in last.items():
        assert cache.get(ask, "another", stored) is None
        assert cache.get(ask, release, stored + b"more") is None


@given(sizes=st.lists(st.integers(0, 400), max_size=40))
def test_the_oldest_give_way_and_only_as_many_as_must(sizes):
    cache = AnswerCache(1000, 60)
    for number, size in enumerate(sizes):
        cache.put(Ask(str(number)), "r", b"", Reply(bytes(size)))
    kept = [cache.get(Ask(str(number)), "r", b"") is not None for number in range(len(sizes))]
    assert kept == sorted(kept)
    # Of 1000 bytes, the one before the end may leave as many free as the next is too long.
    assert sum(size for size, here in zip(sizes, kept, strict=True) if here) >= min(
        sum(sizes), 1000 - 2 * 400
    )


def test_an_answer_is_good_for_its_user_until_there_is_a_new_event():
    cache = AnswerCache(10_000, 60)
    cache.put(Ask("a"), "r", b"", Reply(b"answer", served_by="full"))
    assert cache.get(Ask("a"), "r", b"") == Reply(b"answer", release="r", served_by="full")
    assert cache.get(Ask("a"), "r", b"an event") is None
    assert cache.get(Ask("b"), "r", b"") is None


def test_an_old_answer_is_no_good():
    cache = AnswerCache(10_000, -1)
    cache.put(Ask("a"), "r", b"", Reply(b"answer"))
    assert cache.get(Ask("a"), "r", b"") is None


def test_an_answer_too_long_to_be_kept_does_not_leave_the_one_before():
    cache = AnswerCache(1, 60)
    for content in (b"", b"too long"):
        cache.put(Ask("a"), "r", b"", Reply(content))
    assert cache.get(Ask("a"), "r", b"") is None
