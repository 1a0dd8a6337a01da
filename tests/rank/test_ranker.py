import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from recsys.artifacts import ArtifactError
from recsys.features.attributes import Attributes
from recsys.metrics import auc
from recsys.rank import training
from recsys.rank.calibration import levels
from recsys.rank.inputs import Examples
from recsys.rank.ranker import Ranker
from recsys.types import PAD, MergedCandidates

SMALL = {"embedding_dim": 8, "n_experts": 3, "widths": (16, 8), "epochs": 2, "threads": 1}
TASKS = ("watched", "liked")
MODELS = ("mmoe", "ple", "shared_bottom", "esmm", "single_task")


@pytest.fixture(scope="module")
def attributes(dataset):
    return Attributes.of(dataset)


def new(**changed):
    return Ranker(**({"tasks": TASKS, "formula": {"watched": 1}} | SMALL | changed))


@pytest.fixture(scope="module")
def ranker(examples, attributes):
    return new().fit([examples], attributes)


@pytest.fixture(scope="module", params=[*MODELS, "attention"])
def of_each_model(request, examples, attributes):
    """Each model, and one that attends to the history."""
    shape = {"history_length": 7} if request.param == "attention" else {"model": request.param}
    return new(**shape).fit([examples], attributes)


def scored(ranker, examples):
    return ranker.score(examples.features, examples.requests, examples.merged)


def test_a_candidate_is_labelled_by_the_users_future(examples, fold):
    future = {
        (user, item): label
        for user, item, label in zip(
            fold.future.user_idx, fold.future.item_idx, fold.future.labels["liked"], strict=True
        )
    }
    assert examples.labels["watched"].sum() > 0
    for row, user in enumerate(fold.users):
        for place, item in enumerate(examples.merged.items[row]):
            assert examples.labels["watched"][row, place] == ((user, item) in future)
            assert examples.labels["liked"][row, place] == future.get((user, item), 0)


def test_padding_is_labelled_0(examples):
    padded = examples.merged.items == PAD
    assert padded.any()
    assert not examples.labels["watched"][padded].any()


@pytest.mark.parametrize("model", MODELS)
def test_it_learns_its_examples(examples, attributes, model):
    trained = new(model=model, epochs=20, learning_rate=0.02).fit([examples], attributes)
    inside = examples.merged.items != PAD
    for task, probabilities in scored(trained, examples).probabilities.items():
        assert auc(probabilities[inside], examples.labels[task][inside]) > 0.7


def test_probabilities_and_scores_have_a_place_for_each_candidate(ranker, examples):
    scores = scored(ranker, examples)
    assert scores.probabilities.keys() == set(TASKS)
    for probabilities in scores.probabilities.values():
        assert probabilities.shape == examples.merged.items.shape
        assert ((probabilities >= 0) & (probabilities <= 1)).all()
    assert np.array_equal(np.isneginf(scores.scores), examples.merged.items == PAD)


def test_the_score_is_the_product_of_powers(examples, attributes):
    trained = new(formula={"watched": 1, "liked": 0.5}).fit([examples], attributes)
    scores = scored(trained, examples)
    inside = examples.merged.items != PAD
    expected = scores.probabilities["watched"] * scores.probabilities["liked"] ** 0.5
    assert scores.scores[inside] == pytest.approx(expected[inside], rel=1e-5)


def assert_parity(trained, examples):
    """What is served is what the network that was trained says."""
    network = training.build(trained).eval()
    k = examples.merged.items.shape[1]
    inputs = trained.inputs_.of(examples.features, examples.requests, examples.merged)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(torch.from_numpy(trained.weights_[name]))
        logits = network(training.tensors(inputs, np.arange(len(examples.requests)), k))
    for task, probabilities in scored(trained, examples).probabilities.items():
        own, inside = logits[task].numpy().reshape(-1, k), examples.inside
        expected = trained.calibration_[task](own, levels(own, inside))
        np.testing.assert_allclose(probabilities[inside], expected[inside], rtol=1e-3, atol=1e-6)


def test_probabilities_are_those_of_the_trained_network(of_each_model, examples):
    assert_parity(of_each_model, examples)


@pytest.mark.parametrize("model", ["mmoe", "ple"])
@pytest.mark.parametrize("widths", [(8,), (16, 8, 4)])
def test_so_they_are_however_deep_it_is(examples, attributes, model, widths):
    assert_parity(new(model=model, widths=widths, epochs=1).fit([examples], attributes), examples)


def test_the_order_is_best_first_and_padding_last(ranker, examples):
    scores = scored(ranker, examples)
    ordered = np.take_along_axis(scores.scores, scores.order, axis=1)
    assert (ordered[:, :-1] >= ordered[:, 1:]).all()


def test_a_batch_equals_one_by_one(of_each_model, examples):
    batch = scored(of_each_model, examples)
    for row in range(len(examples.requests)):
        one = scored(of_each_model, examples[row : row + 1])
        assert np.array_equal(one.scores[0], batch.scores[row])


def test_nobody_asks(ranker, examples):
    assert scored(ranker, examples[:0]).scores.shape == (0, 60)


def test_save_and_load_change_nothing(of_each_model, examples, tmp_path):
    of_each_model.save(tmp_path)
    loaded = Ranker.load(tmp_path)
    assert np.array_equal(scored(loaded, examples).scores, scored(of_each_model, examples).scores)
    assert loaded.n_parameters == of_each_model.n_parameters


def test_two_fits_with_one_seed_are_the_same(ranker, examples, attributes):
    again = new().fit([examples], attributes)
    assert np.array_equal(scored(again, examples).scores, scored(ranker, examples).scores)
    assert again.log_ == ranker.log_


def test_another_seed_is_another_ranker(ranker, examples, attributes):
    other = new(seed=1).fit([examples], attributes)
    assert not np.array_equal(scored(other, examples).scores, scored(ranker, examples).scores)


@pytest.mark.parametrize("task", TASKS)
def test_probabilities_of_the_examples_add_up_to_their_positives(ranker, examples, task):
    predicted = scored(ranker, examples).probabilities[task][examples.inside]
    assert predicted.mean() == pytest.approx(examples.labels[task][examples.inside].mean(), rel=0.05)


def test_a_request_without_candidates_teaches_nothing(ranker, examples, attributes):
    def emptied(values, fill):
        return np.concatenate([values, np.full_like(values[:20], fill)])

    merged = examples.merged
    more = Examples(
        examples.features,
        examples.requests[np.append(np.arange(len(examples.requests)), np.zeros(20, int))],
        MergedCandidates(
            merged.channels,
            emptied(merged.items, PAD),
            emptied(merged.scores, -np.inf),
            emptied(merged.ranks, PAD),
            emptied(merged.channel_scores, np.nan),
        ),
        {task: emptied(label, 0) for task, label in examples.labels.items()},
        emptied(examples.counted, False),
    )
    requests = more.requests
    assert np.isfinite([row["loss"] for row in new().fit([more], attributes).log_]).all()
    assert len(requests) == len(examples.requests) + 20


def test_without_any_candidate_nothing_is_learned_and_nothing_breaks(examples, attributes):
    empty = MergedCandidates.none(examples.merged.channels, *examples.merged.items.shape)
    labels = {task: np.zeros_like(label) for task, label in examples.labels.items()}
    none = Examples(examples.features, examples.requests, empty, labels, empty.items != PAD)
    assert np.isneginf(scored(new().fit([none], attributes), none).scores).all()


def test_examples_of_two_folds_are_learned_together(examples, attributes):
    trained = new().fit([examples[:10], examples[10:]], attributes)
    assert np.isfinite(trained.log_[-1]["loss"])


def test_validation_is_logged_each_epoch(examples, attributes):
    log = new().fit([examples], attributes, lambda ranker: {"parameters": ranker.n_parameters}).log_
    assert [row["epoch"] for row in log] == [0, 1]
    assert all(row["parameters"] > 0 for row in log)


def test_gates_of_a_task_sum_to_1(of_each_model, examples):
    weights = of_each_model.gate_weights(examples.features, examples.requests, examples.merged)
    n = (examples.merged.items != PAD).sum()
    assert list(weights) == list(TASKS)
    for each in weights.values():
        assert each.sum(axis=1) == pytest.approx(np.ones(n), abs=1e-5)


def test_a_task_of_esmm_listens_to_its_own_expert_alone(examples, attributes):
    trained = new(model="esmm", epochs=1).fit([examples], attributes)
    weights = trained.gate_weights(examples.features, examples.requests, examples.merged)
    assert (weights["watched"] == [1, 0]).all()
    assert (weights["liked"] == [0, 1]).all()


def test_what_was_met_matters_to_attention(examples, attributes):
    trained = new(history_length=7, epochs=1).fit([examples], attributes)
    history = replace(examples.requests.history, items=examples.requests.history.items[::-1].copy())
    requests = replace(examples.requests, history=history)
    told = trained.inputs_.request(examples.features, examples.requests)
    other = trained.inputs_.request(examples.features, requests)
    (scorer,) = trained.scorers_
    items = examples.merged.items[0]
    before, after = scorer.attention(items, told, 0), scorer.attention(items, other, 0)
    assert before.shape == (SMALL["embedding_dim"], len(items))
    assert not np.allclose(before, after)


def test_an_empty_history_says_the_same_of_every_candidate(examples, attributes):
    trained = new(history_length=7, epochs=1).fit([examples], attributes)
    empty = replace(examples.requests.history, ends=examples.requests.history.starts)
    told = trained.inputs_.request(examples.features, replace(examples.requests, history=empty))
    heard = trained.scorers_[0].attention(examples.merged.items[0], told, 0)
    assert (heard == heard[:, :1]).all()


def test_without_attributes_of_items_nothing_is_attended_to(examples, attributes):
    columns = tuple(each for each in attributes.columns if each.entity != "item")
    trained = new(history_length=7, epochs=1).fit([examples], replace(attributes, columns=columns))
    assert trained.scorers_[0].attention is None
    assert np.isfinite(scored(trained, examples).scores[examples.inside]).all()


def test_esmm_refuses_labels_that_are_not_nested(examples, attributes):
    with pytest.raises(ValueError, match="esmm: 'watched' must imply 'liked'"):
        new(model="esmm", tasks=TASKS[::-1]).fit([examples], attributes)


@pytest.mark.parametrize("name", ["formula", "task_weights"])
def test_an_unknown_task_is_refused(name):
    with pytest.raises(ValueError, match=rf"{name} names 'bought'.*watched, liked"):
        new(**{name: {"bought": 1}})


def test_what_a_task_weighs_moves_the_others(ranker, examples, attributes):
    alike = new(task_weights={"liked": 1.0}).fit([examples], attributes)
    alone = new(task_weights={"liked": 0.0}).fit([examples], attributes)
    watched = [
        scored(each, examples).probabilities["watched"][examples.inside] for each in (ranker, alike, alone)
    ]
    assert np.array_equal(watched[0], watched[1])
    assert not np.allclose(watched[0], watched[2])


def test_weights_of_another_spec_are_refused(ranker, tmp_path):
    ranker.save(tmp_path)
    spec = json.loads((tmp_path / "spec.json").read_text())
    year = next(each for each in spec["columns"] if each["name"] == "year")
    year["state"]["edges"][0] -= 1
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    with pytest.raises(ArtifactError, match=r"weights\.safetensors: these weights belong to another"):
        Ranker.load(tmp_path)


def test_damaged_weights_are_refused(ranker, tmp_path):
    ranker.save(tmp_path)
    (tmp_path / "weights.safetensors").write_bytes(b"none")
    with pytest.raises(ArtifactError, match=r"weights\.safetensors"):
        Ranker.load(tmp_path)
