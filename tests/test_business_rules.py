import numpy as np
import pytest

from recsys.business_rules import Rules, RulesError
from recsys.types import DAY
from recsys.vocabulary import Vocabulary

ITEMS = Vocabulary.of(["Toy Story", "Heat", "123"])
CATEGORIES = np.array([[1, 0], [0, 1], [1, 1]])
NAMES = ["Comedy", "Crime"]


def bound(tmp_path, text):
    return load(tmp_path, text).bind(ITEMS, CATEGORIES, NAMES)


def load(tmp_path, text):
    path = tmp_path / "rules.yaml"
    path.write_text(text)
    return Rules.load(path)


def test_an_empty_file_has_no_rules(tmp_path):
    assert load(tmp_path, "").model_dump() == Rules().model_dump()


def test_a_category_boost_is_for_all_items_of_it(tmp_path):
    (boost,) = bound(tmp_path, "boost: [{category: Crime, weight: 1.5}]").boosts
    assert (boost.items.tolist(), boost.weight) == ([False, True, True], 1.5)


def test_days_are_utc_and_both_included(tmp_path):
    (pin,) = bound(tmp_path, "pin: [{item: Heat, position: 1, from: 1970-01-02, to: 1970-01-03}]").pins
    assert (pin.item, pin.place) == (1, 0)
    assert pin.span.covers(np.array([DAY - 1, DAY, 3 * DAY - 1, 3 * DAY])).tolist() == [
        False,
        True,
        True,
        False,
    ]


def test_blocks_are_of_items_and_categories(tmp_path):
    assert bound(tmp_path, "block: {items: [Heat]}").blocked.tolist() == [False, True, False]
    assert bound(tmp_path, "block: {categories: [Comedy]}").blocked.tolist() == [True, False, True]


@pytest.mark.parametrize(
    ("at", "seconds"),
    [("1970-01-02", DAY), ("1970-01-02T00:00:10", DAY + 10), ("1970-01-02T01:00:00+01:00", DAY)],
)
def test_an_expiry_is_a_day_or_a_moment(tmp_path, at, seconds):
    assert bound(tmp_path, f"expiry: [{{item: Heat, at: {at}}}]").expires[1] == seconds


def test_the_earliest_expiry_counts(tmp_path):
    text = "expiry: [{item: Heat, at: 1970-01-02}, {item: Heat, at: 1970-01-03}]"
    assert bound(tmp_path, text).expires[1] == DAY


def test_ids_that_yaml_takes_for_numbers_are_ids(tmp_path):
    rules = bound(tmp_path, "{profit: {123: 2}, block: {items: [123]}}")
    assert (rules.profit[2], rules.blocked[2]) == (2, True)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("boost: [{category: Comedy, weight: 0}]", "boost.0.weight: Input should be greater than 0"),
        ("boost: [{category: Comedy, weight: .nan}]", "boost.0.weight: "),
        ("boost: [{weight: 2}]", "boost.0: names either a category or an item"),
        ("boost: [{item: Heat, category: Comedy, weight: 2}]", "boost.0: names either a category or an item"),
        ("boost: [{item: Heat, weight: 2, till: 2000-01-01}]", "boost.0.till: Extra inputs"),
        ("pin: [{item: Heat, position: 0}]", "pin.0.position: Input should be greater than 0"),
        (
            "pin: [{item: Heat, position: 1, from: 2000-01-02, to: 2000-01-01}]",
            "pin.0: ends on 2000-01-01, before it begins on 2000-01-02",
        ),
        ("pin: [{item: Heat, position: 1, from: soon}]", "pin.0.from: Input should be a valid date"),
        ("expiry: [{item: Heat}]", "expiry.0.at: Field required"),
        ("bost: []", "bost: Extra inputs"),
        ("[1, 2]", "Input should be a valid dictionary"),
        ("pin: [", "cannot be read as YAML"),
        (
            "pin: [{item: Heat, position: 1}, {item: '123', position: 1}]",
            "pin: 'Heat' at 1 and '123' at 1 on the same days",
        ),
        (
            "pin: [{item: Heat, position: 1}, {item: Heat, position: 2, from: 2000-01-01}]",
            "pin: 'Heat' at 1 and 'Heat' at 2 on the same days",
        ),
    ],
)
def test_a_fault_is_one_line_with_file_and_field(tmp_path, text, fault):
    with pytest.raises(RulesError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'rules.yaml'}: {fault}")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(RulesError, match=r"none.yaml: cannot be read"):
        Rules.load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("pin: [{item: Alien, position: 1}]", "pin.0.item: no item 'Alien' in the catalogue"),
        ("boost: [{category: Noir, weight: 2}]", "boost.0.category: no category 'Noir' in the catalogue"),
        ("block: {items: [Heat, Alien]}", "block.items.1: no item 'Alien'"),
        ("block: {categories: [Noir]}", "block.categories.0: no category 'Noir'"),
        ("expiry: [{item: Alien, at: 2000-01-01}]", "expiry.0.item: no item 'Alien'"),
        ("profit: {Alien: 2}", "profit: no item 'Alien'"),
    ],
)
def test_what_the_catalogue_lacks_is_refused(tmp_path, text, fault):
    with pytest.raises(RulesError) as caught:
        bound(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'rules.yaml'}: {fault}")


def test_pins_of_one_place_on_different_days_do_not_collide(tmp_path):
    text = "pin: [{item: Heat, position: 1, to: 2000-01-01}, {item: '123', position: 1, from: 2000-01-02}]"
    assert len(bound(tmp_path, text).pins) == 2
