import pytest

from recsys.parameters import ParameterError, overridden


def test_only_named_values_are_overridden():
    params = {"seed": 3, "cf": {"top": 5, "days": 7}}
    assert overridden(params, {"cf": {"top": 1}}) == {"seed": 3, "cf": {"top": 1, "days": 7}}


def test_an_override_of_nothing_is_refused():
    with pytest.raises(ParameterError, match=r"there is no cf.tpo to override"):
        overridden({"cf": {"top": 5}}, {"cf": {"tpo": 1}})


def test_a_mapping_may_take_the_place_of_a_value():
    assert overridden({"days": None}, {"days": {"a": 1}}) == {"days": {"a": 1}}


def test_null_takes_a_mapping_away_and_is_a_value_elsewhere():
    params = {"splits": {"a": {"x": 1}, "b": {}}, "days": 3}
    assert overridden(params, {"splits": {"a": None}, "days": None}) == {"splits": {"b": {}}, "days": None}
