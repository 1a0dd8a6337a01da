"""Write the tables of README.md from reports/: `python docs/results.py` (`--check` only compares)."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import pandas as pd

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
BLOCK = re.compile(r"(<!-- results -->\n).*?(<!-- /results -->)", re.DOTALL)
SPLITS = ("global_time", "leave_last_out")
METRICS = ("ndcg_at_10", "recall_at_100", "recall_at_300", "coverage_at_10")


def table(split: str) -> str:
    """Systems by metrics of one split's test fold, the interval behind ndcg_at_10."""
    summary = pd.read_csv(ROOT / "reports" / split / "evaluation" / "summary.csv")
    everyone = summary[summary["slice"] == "all"].set_index(["system", "metric"])
    lines = [
        f"**{split}**, {int(everyone['n'].max()):,} users",
        "",
        "| system | " + " | ".join(METRICS) + " |",
        "| --- |" + " ---: |" * len(METRICS),
    ]
    for system in dict.fromkeys(everyone.index.get_level_values("system")):
        cells = []
        for metric in METRICS:
            if (system, metric) not in everyone.index:
                cells.append("")
                continue
            row = everyone.loc[(system, metric)]
            interval = f" ({row['low']:.3f}–{row['high']:.3f})" if metric == METRICS[0] else ""
            cells.append(f"{row['value']:.3f}{interval}")
        lines.append(f"| {system} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def rendered() -> str:
    """README.md with its tables as reports/ has them."""
    tables = "\n\n".join(table(split) for split in SPLITS)
    return BLOCK.sub(lambda block: f"{block[1]}\n{tables}\n\n{block[2]}", README.read_text())


def main() -> int:
    """0 when README.md is written, or equal with ``--check``; 1 when it differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where they differ")
    text = rendered()
    if parser.parse_args().check:
        return int(text != README.read_text())
    README.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
