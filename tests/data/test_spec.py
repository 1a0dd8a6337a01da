import pytest

from recsys.data.prepare import DATASETS, built_in
from recsys.data.report import DataError
from recsys.data.spec import DatasetSpec

AGE = "users.attributes.age"


def read(folder):
    return DatasetSpec.read(folder / "dataset.yaml")


@pytest.mark.parametrize("name", built_in())
def test_every_built_in_data_set_is_well_described(name):
    assert DatasetSpec.read(DATASETS / f"{name}.yaml").name == name


def test_attributes_carry_name_encoder_group_and_options(folder):
    age, gender, _ = read(folder).attributes("user")
    assert (age.name, age.encoder, age.group, age.options) == ("age", "quantile", "person", {"buckets": 4})
    assert (gender.name, gender.options) == ("gender", {})


def test_an_attribute_without_a_group_is_its_own_group(folder, respec):
    respec({"items.attributes.year.group": None})
    assert [each.group for each in read(folder).attributes("item")] == ["genres", "year"]


def test_request_attributes_are_read_from_the_moment(folder):
    assert [each.options["source"] for each in read(folder).attributes("request")] == ["timestamp"] * 2


def test_a_spec_survives_json(folder):
    spec = read(folder)
    assert DatasetSpec.model_validate_json(spec.model_dump_json()) == spec


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"interactions.columns.user_id": None}, r"interactions\.columns\.user_id: Field required"),
        ({"interactions.colums": {}}, r"interactions\.colums: there is no such field; is it 'columns'\?"),
        (
            {"interactions.columns.feedback": {"value": "x"}},
            r"interactions\.columns: feedback: 'value' is column 'rating' already",
        ),
        ({f"{AGE}.encoder": None}, r"users\.attributes\.age\.encoder: Field required"),
        ({f"{AGE}.type": "date"}, r"users\.attributes\.age\.type: .*'number', 'category' or 'labels'"),
        (
            {"interactions.columns.timestamp": {"column": "t", "unit": "h"}},
            r"interactions\.columns\.timestamp\.unit: .*'s', 'ms' or 'iso'",
        ),
        ({"tasks.liked.rule": "value > four"}, r"tasks\.liked\.rule: rule 'value > four' is neither"),
        (
            {"tasks.liked.rule": "stars > 4"},
            r"tasks\.liked\.rule: 'stars' is not a feedback column \(value\)",
        ),
        (
            {"tasks.long": {"kind": "numeric", "rule": "seconds", "full": 60}},
            r"tasks\.long\.rule: 'seconds' is not a feedback",
        ),
        ({"tasks.stars": {"kind": "numeric", "rule": "value"}}, r"tasks\.stars: a numeric task needs `full`"),
        ({"tasks.liked.full": 5}, r"tasks\.liked: a numeric task needs `full`.* a binary one has none"),
        (
            {"interactions.positive": "rating > 4"},
            r"interactions\.positive: 'rating' is not a feedback column",
        ),
        (
            {"interactions.observed": {"price": {"feedback": "paid"}}},
            r"interactions\.observed\.price: 'paid' is not a feedback column \(value\)",
        ),
        (
            {"interactions.observed": {"value": {"feedback": "value"}}},
            r"interactions\.observed\.value: 'value' cannot name what is observed",
        ),
        ({"items.category": "year"}, r"items: category 'year' is not an attribute with categories"),
        ({"items.attributes.year.extract": r"\d+"}, r"items\.attributes\.year: .*exactly one group"),
        ({"items.attributes.genres.flags": ["a"]}, r"items\.attributes\.genres: flags goes with neither"),
        ({"items.attributes.age": {"encoder": "hash"}}, r"two attributes are called 'age'"),
        ({"users.attributes.user_id": {"encoder": "hash"}}, r"users\.attributes: 'user_id' cannot name"),
        (
            {"fetch": {"wheel": "a", "sha256": "0" * 64, "files": {"a": "a"}}},
            r"fetch\.wheel: String should match",
        ),
        (
            {"fetch": {"wheel": "a==1", "sha256": "0" * 64, "files": {"../a": "a"}}},
            r"fetch\.files: '\.\./a' is not a plain",
        ),
    ],
)
def test_a_wrong_field_is_told_in_one_line_with_file_and_path(folder, respec, fields, message):
    respec(fields)
    with pytest.raises(DataError, match=rf"dataset\.yaml: {message}") as error:
        read(folder)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("place", "attribute"),
    [
        ("users.attributes.mean", {"column": "rating", "encoder": "standard", "type": "number"}),
        ("items.attributes.rating", {"encoder": "standard", "type": "number"}),
        ("items.attributes.flag", {"flags": ["Action", "rating"], "encoder": "multi_hot"}),
        ("request.attributes.now", {"column": "rating", "encoder": "standard"}),
    ],
)
def test_a_feature_that_is_feedback_is_refused(folder, respec, place, attribute):
    respec({place: attribute})
    with pytest.raises(DataError, match=rf"{place}: column 'rating' is feedback.* would leak"):
        read(folder)


def test_a_request_knows_nothing_but_its_moment_and_its_context(folder, respec):
    respec({"request.attributes.item": {"column": "item_id", "encoder": "hash"}})
    told = r"request\.attributes\.item: no request tells 'item_id'; interactions have timestamp$"
    with pytest.raises(DataError, match=told):
        read(folder)
    respec({"interactions.columns.context": {"device": "device"}})
    with pytest.raises(DataError, match=r"interactions have timestamp, device$"):
        read(folder)
    respec({"request.attributes.item": {"column": "device", "encoder": "hash"}})
    sources = {feature.name: feature.options["source"] for feature in read(folder).attributes("request")}
    assert sources == {"item": "device", "time_of_day": "timestamp", "day_of_week": "timestamp"}


@pytest.mark.parametrize(
    ("context", "told"),
    [
        ({"what": "item_id"}, "context.what: column 'item_id' has another role"),
        ({"history_length": "device"}, "'history_length' cannot name a context"),
        ({"timestamp": "device"}, "'timestamp' cannot name a context"),
        ({"a b": "device"}, "'a b' cannot name a context"),
    ],
)
def test_the_answer_is_no_context_and_names_are_not_taken(folder, respec, context, told):
    respec({"interactions.columns.context": context})
    with pytest.raises(DataError, match=told):
        read(folder)


def test_what_is_known_only_after_the_event_is_no_context(folder, respec):
    respec({"interactions.columns.context": {"stars": "rating"}})
    with pytest.raises(DataError, match=r"context\.stars: column 'rating' is feedback"):
        read(folder)


@pytest.mark.parametrize("text", ["a: [", "- a", "", "\x00"])
def test_what_is_no_yaml_of_fields_is_one_line(folder, text):
    (folder / "dataset.yaml").write_text(text)
    with pytest.raises(DataError, match=r"dataset\.yaml: (cannot be read as yaml|holds no fields)") as error:
        read(folder)
    assert "\n" not in str(error.value)
