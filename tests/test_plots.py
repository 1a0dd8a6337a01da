from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from recsys import plots

SYSTEMS = ("popular", "item_cf", "merged")


@pytest.fixture
def summary() -> pd.DataFrame:
    slices = ("all", "gender=F", "gender=M", "activity=low", "activity=high")
    rows = [(system, name, "ndcg_at_10", 0.1, 0.08, 0.12, 50) for system in SYSTEMS for name in slices]
    return pd.DataFrame(rows, columns=["system", "slice", "metric", "value", "low", "high", "n"])


def test_the_same_frame_gives_the_same_bytes(tmp_path: Path, summary):
    for name in ("one.png", "two.png"):
        plots.save(plots.bars_with_intervals(summary, "ndcg_at_10", "popular"), tmp_path / name)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_a_notebook_shows_a_figure_by_itself(summary):
    assert plots.bars_with_intervals(summary, "ndcg_at_10")._repr_png_().startswith(b"\x89PNG")


def test_a_figure_without_intervals_has_bars_all_the_same(summary):
    bare = summary.assign(low=np.nan, high=np.nan)
    assert len(plots.bars_with_intervals(bare, "ndcg_at_10").axes[0].patches) == len(SYSTEMS)


def test_the_best_system_stands_on_top(summary):
    summary.loc[summary["system"] == "merged", ["value", "low", "high"]] += 0.1
    axis = plots.bars_with_intervals(summary, "ndcg_at_10").axes[0]
    assert axis.get_yticklabels()[0].get_text() == "merged"
    assert axis.yaxis_inverted()


def test_slices_have_a_panel_an_attribute(summary):
    panels = plots.slices(summary, "ndcg_at_10").axes
    assert [axis.get_xlabel() for axis in panels] == ["gender", "activity"]


def test_no_interval_of_a_slice_is_cut_off(summary):
    summary.loc[summary["slice"] == "activity=high", "high"] = 0.9
    assert plots.slices(summary, "ndcg_at_10").axes[0].get_ylim()[1] > 0.9


def test_a_sure_difference_is_filled_and_a_doubtful_one_is_not():
    rows = pd.DataFrame(
        [("a", "auc", 0.2, 0.1, 0.3), ("b", "auc", 0.2, -0.1, 0.5)],
        columns=["system", "metric", "value", "low", "high"],
    )
    points = [line for line in plots.difference_forest(rows, "c").axes[0].lines if line.get_marker() == "o"]
    assert [point.get_markerfacecolor() == "white" for point in points] == [False, True]


@pytest.mark.parametrize(
    "draw",
    [
        lambda: plots.recall_curves(
            pd.DataFrame(
                {"system": ["mf"] * 2, "k": [1, 5], "value": [0.1, 0.2], "low": [0, 0.1], "high": [1, 1]}
            )
        ),
        lambda: plots.heatmap(pd.DataFrame(np.eye(8)), "Which?"),
        lambda: plots.trade_off(
            pd.DataFrame({"x": [1, 2], "y": [2, 1], "at": [0, 1]}), "x", "y", "at", "Which?"
        ),
        lambda: plots.trade_off(
            pd.DataFrame({"a": [1, 2], "b": [2, 1], "n": ["x", "y"]}), "a", "b", "n", "What?", by="n"
        ),
        lambda: plots.long_tail({"users": np.array([5, 1, 0]), "items": np.array([3, 3])}),
        lambda: plots.calibration({"liked": np.linspace(0, 1, 50)}, {"liked": np.arange(50) % 2}),
        lambda: plots.gains_of_ranks(pd.DataFrame({"mf": [2.0, 1.0]}, index=[1, 2])),
        lambda: plots.gates(pd.DataFrame([[0.3, 0.7]], index=["liked"])),
        lambda: plots.scatter_map(np.random.default_rng(0).random((30, 2)), ["a", "b", "c"] * 10, most=2),
        lambda: plots.cluster_sizes(np.array([3, 9, 1])),
        lambda: plots.training_curves(
            {"mmoe": [{"epoch": 1, "loss": 0.5, "auc": 0.7}], "ple": [{"epoch": 1, "loss": 0.4}]}
        ),
    ],
)
def test_a_figure_is_drawn_without_a_warning(draw, recwarn):
    assert len(draw()._repr_png_()) > 5000
    # A file that another test left open is told of whenever it is collected.
    assert not [each for each in recwarn.list if not issubclass(each.category, ResourceWarning)]
