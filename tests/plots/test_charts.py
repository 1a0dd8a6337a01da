import numpy as np
import pandas as pd

from recsys import plots

SHARES = pd.DataFrame({"items": [3, 1], "share": [0.75, 0.25]}, index=["Drama", "War"])


def test_bars_have_a_panel_a_column_and_the_first_row_on_top():
    items, share = plots.bars(SHARES, "What?", percent=["share"]).axes
    assert [bar.get_width() for bar in items.patches] == [3, 1]
    assert items.get_ylim() == (1.5, -0.5)
    assert share.xaxis.get_major_formatter()(0.5) == "50%"


def test_stacked_bars_end_at_the_sum_which_is_written():
    (axis,) = plots.stacked(
        pd.DataFrame({"hot": [3, 1], "cold": [2, 0]}, index=["a", "b"]), "users", "?"
    ).axes
    assert [text.get_text() for text in axis.texts] == ["5", "1"]
    assert max(bar.get_x() + bar.get_width() for bar in axis.patches) == 5


def test_parts_over_time_are_stacked_on_each_other():
    moments = pd.to_datetime(["2020-01-01", "2020-01-08"])
    counts = pd.DataFrame({"early": [5, 1], "test": [0, 2]}, index=moments)
    (axis,) = plots.parts_over_time({"global_time": counts}).axes
    assert max(bar.get_y() + bar.get_height() for bar in axis.patches) == 5
    assert axis.get_title(loc="left") == "global_time"


def test_boxes_have_a_panel_an_attribute():
    groups = {"gender": {"F": np.arange(1, 9), "M": np.arange(1, 5)}, "age": {"18": np.arange(1, 3)}}
    panels = plots.boxes(groups, "interactions", "Who?").axes
    assert [axis.get_xlabel() for axis in panels] == ["gender", "age"]
    assert [label.get_text() for label in panels[0].get_xticklabels()] == ["F", "M"]


def test_settings_are_drawn_in_their_order_with_the_chosen_one():
    table = pd.DataFrame(
        {"factors": [32, 16], "metric": "ndcg_at_10", "value": [0.2, 0.1], "low": 0.0, "high": 0.3}
    )
    (axis,) = plots.by_setting(table, "factors", "How many?", chosen=16).axes
    curve, chosen = axis.lines
    assert curve.get_xdata().tolist() == [16, 32]
    assert list(chosen.get_xdata()) == [16, 16]


def test_days_are_drawn_in_their_order_a_panel_a_metric():
    days = pd.to_datetime(["2020-01-02", "2020-01-01"])
    ends = {"value": [0.1, -0.2], "low": [0, -0.3], "high": [0.2, 0]}
    near, far = plots.by_day(
        pd.concat([pd.DataFrame({"day": days, "metric": name, **ends}) for name in ("near", "far")]),
        "ndcg",
        "?",
    ).axes
    assert [tick.get_text() for tick in near.get_xticklabels()] == ["01-01", "01-02"]
    assert (near.get_title(loc="left"), far.get_title(loc="left")) == ("near", "far")
