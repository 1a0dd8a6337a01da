"""Buckets of time: exact where they meet, and one for each length."""

import numpy as np

from recsys.features.gaps import N_GAPS, NO_GAP, gap_buckets


def test_each_bucket_is_twice_as_long_as_the_one_before():
    seconds = np.array([0, 1, 2, 3, 4, 7, 8, 2**30 - 1, 2**30])
    assert gap_buckets(seconds).tolist() == [0, 1, 2, 2, 3, 3, 4, 30, 31]


def test_what_lies_in_the_future_is_no_gap_and_ages_are_one():
    assert gap_buckets(np.array([-5, 2**31, 2**40])).tolist() == [0, 32, 32]


def test_the_bucket_of_no_gap_is_the_last():
    assert gap_buckets(np.array([2**62])).max() < NO_GAP == N_GAPS - 1
