import pandas as pd

from recsys import plots


def test_kinds_of_search_have_a_line_a_catalogue_and_a_bar_of_the_largest():
    asked = pd.DataFrame(
        {
            "catalogue": ["small"] * 3 + ["large"] * 3,
            "kind": ["flat", "ivf", "ivf"] * 2,
            "effort": [1.0, 2.0, 1.0] * 2,
            "recall": [1.0, 0.9, 0.8] * 2,
            "p50_ms": [5.0, 2.0, 1.0] * 2,
        }
    )
    kept = pd.DataFrame(
        {
            "catalogue": ["small", "small", "large", "large"],
            "kind": ["flat", "ivf"] * 2,
            "megabytes": [0, 1, 0, 9],
        }
    )
    small, large, memory = plots.search_kinds(asked, kept, 300).axes
    assert [line.get_xdata().tolist() for line in small.get_lines()] == [[5], [5], [1, 2], [1]]
    assert (large.get_title(loc="left"), large.get_ylabel()) == ("large", "share of the best 300")
    assert [bar.get_width() for bar in memory.patches] == [0, 9]
