import numpy as np
import pandas as pd

from recsys import plots

LOADS = pd.DataFrame(
    [
        (server, 100.0 * share, 2.0, 10 * share + number)
        for number, server in enumerate(("floor", "one", "other"))
        for share in (1, 2)
    ],
    columns=["server", "requests_per_second", "p50_ms", "p99_ms"],
)


def test_a_server_has_a_line_for_each_quantile_in_its_panel():
    floors, ours = plots.waiting_by_load(LOADS, {"a": ["floor"], "b": ["one", "other"]}, ["floor"]).axes
    assert [line.get_linestyle() for line in floors.lines] == ["-", "--"]
    assert len({line.get_color() for line in (*floors.lines, *ours.lines)}) == 3
    assert [text.get_text() for text in ours.texts] == ["one", "other"]


def test_names_that_would_meet_stand_above_each_other():
    (axis,) = plots.waiting_by_load(LOADS, {"a": ["floor", "one", "other"]}).axes
    heights = np.log([text.get_position()[1] for text in axis.texts])
    assert np.diff(heights).min() > 0.05 * np.diff(np.log(axis.get_ylim()))


def test_growth_is_written_beside_its_line():
    samples = pd.DataFrame({"requests": [0, 50_000, 100_000], "rss_mb": [300.0, 310.0, 311.0]})
    (axis,) = plots.memory_over_requests(samples, np.array([2e-5, 309.0])).axes
    assert [text.get_text() for text in axis.texts] == ["+2.0 MB per 100,000 requests"]
    assert axis.lines[1].get_ydata().tolist() == [310.0, 311.0]
