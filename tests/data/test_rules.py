import numpy as np
import pytest

from recsys.data.rules import Rule

TABLE = {"value": np.array([1.0, 4.0, 5.0]), "seconds": np.array([90.0, 10.0, 90.0])}


@pytest.mark.parametrize(
    ("text", "met"),
    [
        ("all", [True, True, True]),
        ("value >= 4", [False, True, True]),
        ("value>4", [False, False, True]),
        ("value != 4", [True, False, True]),
        ("value == 1", [True, False, False]),
        ("value < 4.5", [True, True, False]),
        ("value <= -1", [False, False, False]),
        ("value >= 4 and seconds > 30", [False, False, True]),
    ],
)
def test_a_rule_holds_where_all_its_comparisons_do(text, met):
    assert Rule.parse(text).holds(TABLE, 3).tolist() == met


@pytest.mark.parametrize(
    "text", ["", "value", "value => 4", "4 <= value", "value >= 4 or value < 2", "f() > 1"]
)
def test_anything_else_is_no_rule(text):
    with pytest.raises(ValueError, match="neither 'all' nor"):
        Rule.parse(text)


def test_a_rule_is_never_run_as_code():
    with pytest.raises(ValueError, match="neither"):
        Rule.parse("__import__('os').system('true') >= 0")
