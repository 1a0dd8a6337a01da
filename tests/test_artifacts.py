"""Files that stages leave for each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from recsys.artifacts import ALIGNED, ArtifactError, read_arrays, sha256, write_arrays

KINDS = st.sampled_from([np.int32, np.int64, np.float32, np.uint64, np.bool_])
SOME = KINDS.flatmap(lambda kind: arrays(kind, array_shapes(min_dims=0, max_dims=3, min_side=0)))


@settings(deadline=None)
@given(written=st.dictionaries(st.text("abé_.", min_size=1, max_size=5), SOME, max_size=4))
def test_arrays_come_back_as_they_were_each_aligned(written, tmp_path_factory):
    path = tmp_path_factory.mktemp("arrays") / "some.npz"
    write_arrays(path, written)
    read = read_arrays(path)
    assert list(read) == list(written)
    for name, array in written.items():
        assert (read[name].dtype, read[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(read[name], array)
        assert read[name].ctypes.data % ALIGNED == 0 or not array.size
    with np.load(path) as known:
        assert sorted(known.files) == sorted(written)


def test_what_is_written_into_an_array_stays_here(tmp_path):
    write_arrays(tmp_path / "some.npz", {"a": np.arange(3)})
    read_arrays(tmp_path / "some.npz")["a"][0] = 7
    assert read_arrays(tmp_path / "some.npz")["a"].tolist() == [0, 1, 2]


def test_a_file_that_is_replaced_leaves_arrays_that_are_in_use_alone(tmp_path):
    path = tmp_path / "some.npz"
    write_arrays(path, {"a": np.arange(3)})
    before = read_arrays(path)["a"]
    write_arrays(path, {"a": np.zeros(3)})
    assert before.tolist() == [0, 1, 2]


def test_the_same_arrays_are_the_same_bytes_whatever_python_writes_them(tmp_path):
    write_arrays(tmp_path / "some.npz", {"a": np.arange(3, dtype="<i8"), "text": np.array(["x"], "<U1")})
    assert sha256(tmp_path / "some.npz").startswith("c32b2d0ef207")


def test_large_arrays_are_aligned_too(tmp_path, monkeypatch):
    monkeypatch.setattr("recsys.artifacts.LARGE", 8)
    write_arrays(tmp_path / "some.npz", {"small": np.arange(1), "large": np.arange(3)})
    read = read_arrays(tmp_path / "some.npz")
    assert read["large"].tolist() == [0, 1, 2]
    assert [array.ctypes.data % ALIGNED for array in read.values()] == [0, 0]


@pytest.mark.parametrize("left", [0, 10, 100, -1])
def test_a_cut_file_is_refused_by_name(tmp_path, left):
    path = tmp_path / "some.npz"
    write_arrays(path, {"a": np.arange(100)})
    path.write_bytes(path.read_bytes()[:left])
    with pytest.raises(ArtifactError, match=r"some\.npz: cannot be read as arrays"):
        read_arrays(path)


def test_compressed_arrays_are_refused(tmp_path):
    np.savez_compressed(tmp_path / "some.npz", a=np.arange(100))
    with pytest.raises(ArtifactError, match="is compressed"):
        read_arrays(tmp_path / "some.npz")


def test_objects_are_refused_in_both_ways(tmp_path):
    with pytest.raises(ArtifactError, match="Python objects"):
        write_arrays(tmp_path / "some.npz", {"a": np.array([{}], dtype=object)})
    np.savez(tmp_path / "other.npz", a=np.array([{}], dtype=object))
    with pytest.raises(ArtifactError, match="Python objects"):
        read_arrays(tmp_path / "other.npz")
