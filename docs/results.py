"""Write the tables of documents from reports/: `python docs/results.py` (`--check` only compares)."""

from __future__ import annotations

import argparse
import inspect
import json
import re
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import ablation_tables
import capacity_tables
import pandas as pd
import quality_tables
import ranking_tables
import scale_tables
import yaml

from recsys.artifacts import read_json
from recsys.features.encoders import ENCODERS
from recsys.reasons import OF_CHANNEL
from recsys.recall import CHANNELS, channel

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
CAPACITY = ROOT / "docs" / "capacity.md"
QUALITY = ROOT / "docs" / "quality.md"
RANKING = ROOT / "docs" / "quality-ranking.md"
MODELS = ROOT / "docs" / "models.md"
JOURNEY = ROOT / "docs" / "complete-journey.md"
NEWS = ROOT / "docs" / "news.md"
DATASET = ROOT / "docs" / "dataset.md"
SCALE = ROOT / "docs" / "scale.md"
BENCHMARKS = ROOT / "reports" / "benchmarks"
SPLITS = ("global_time", "leave_last_out")
GIVEN = ("categories", "salt")
"""Options of encoders that columns which share a table are given."""
METRICS = ("ndcg_at_10", "recall_at_100", "recall_at_300", "coverage_at_10")


def table(split: str, measured: pd.DataFrame) -> str:
    """Systems by metrics of one split's test fold, the interval behind ndcg_at_10."""
    everyone = measured.set_index(["system", "metric"])
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


def serving() -> str:
    """Servers by what they reach, and what else was measured of the service."""
    run, growth, parity = (read_json(BENCHMARKS / f"{name}.json") for name in ("serving", "growth", "parity"))
    lines = [
        "| one worker | requests/s | p50, ms | p99 at half its peak, ms | failed |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for name, told in run["servers"].items():
        cells = [f"{told['requests_per_second']:,.0f}", f"{told['p50_ms']:.2f}"]
        cells += [f"{told['half_load_p99_ms']:.1f}", f"{told['failed']:,.0f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    rss, ready = growth["memory"]["rss_mb"], growth["seconds_until_ready"]
    lines += [
        "",
        f"{growth['requests']:,} mixed requests: {rss['after_start']:.0f} MB resident at the start, "
        f"{rss['at_end']:.0f} MB at the end, {growth['failed']} failed; ready after {ready['again']:.1f} s "
        f"({ready['first']:.0f} s the very first time, when kernels are compiled). "
        f"{parity['identical_lists']:,} of {parity['users']:,} users' lists are those of `recsys recommend`, "
        f"{parity['replayed_identical']:,} of {parity['replayed']:,} logged requests are replayed the same.",
    ]
    return "\n".join(lines)


def drills() -> str:
    """What was seen while parts of the stack failed."""
    lines = [
        "| while | answers | failed | p50, ms | p99, ms | slowest, ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, told in read_json(BENCHMARKS / "drills.json")["drills"].items():
        times = [f"{told[each]:,.0f}" for each in ("p50_ms", "p99_ms", "slowest_ms")]
        cells = [name.replace("_", " "), f"{told['answers']:,}", str(told["failed"]), *times]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def week() -> str:
    """What a simulated week of partial training gave, against full training."""
    run = read_json(BENCHMARKS / "week.json")
    days = pd.DataFrame(run["days"])
    lines = ["|  | full | partial | difference | published | difference |", "| --- |" + " ---: |" * 5]
    for unit, name in (("cpu_seconds", "seconds of a processor"), ("seconds", "seconds of the clock")):
        took = days.groupby("mode")[unit].median()
        times = f"{run['times_as_fast'][unit]:.1f} times as fast"
        lines.append(f"| {name} | {took['full']:,.0f} | {took['partial']:,.0f} | {times} |  |  |")
    quality = {tuple(name.split(", ")): told for name, told in run["quality"].items()}
    for question in dict.fromkeys(question for question, _ in quality):
        cells = [f"{quality[question, 'partial']['full']:.3f}"]
        for told in (quality[question, "partial"], quality[question, "published"]):
            interval = f"{told['low']:+.1%} to {told['high']:+.1%}"
            cells += [f"{told['value']:.3f}", f"{told['difference']:+.1%} ({interval})"]
        lines.append(f"| {question} | {' | '.join(cells)} |")
    partial = days[days["mode"] == "partial"]
    first, last = partial["day"].agg(["min", "max"])
    chains = ", ".join(f"{each:+.1%}" for each in run["chains"].values())
    alone = partial.loc[partial["day"] == first, "cpu_seconds"].median()
    lines += [
        "",
        f"{first} to {last}: medians of time (the first day in a new folder took {alone:.0f} s of a "
        f"processor); means over users, days and {len(run['chains'])} chains of "
        "partial training, each from a full training of its own, of the lists of those who came back on the "
        f"day, or within a week of it. The gate let {partial['passed'].sum()} of {len(partial)} partial "
        f"releases through. The chains alone, ndcg_at_10 within a week: {chains}.",
    ]
    return "\n".join(lines)


def image() -> str:
    """The images, and what they did."""
    run = read_json(BENCHMARKS / "image.json")
    lines = [
        "| image | MB | ready after, s | started again, s | lists as of `recsys recommend` | p50, ms |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for name, told in run["images"].items():
        ready = told["seconds_until_ready"]
        cells = [f"{told['megabytes']:.0f}", f"{ready['first']:.1f}", f"{ready['again']:.1f}"]
        cells += [f"{told['identical_lists']:,} of {told['users']:,}", f"{told['p50_ms']:.2f}"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def sizes() -> str:
    """Numbers that each model has learned, and what two towers save by one table of items."""
    lines: list[str] = []
    for split, models in read_json(BENCHMARKS / "sizes.json").items():
        lines += [f"**{split}**", "", "| model | learned | of ids | of attributes | of layers | MB |"]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
        for name, told in models.items():
            parts = [told[part] for part in ("ids", "attributes", "layers")]
            cells = [f"{n:,}" for n in (sum(parts), *parts)]
            lines.append(f"| {name} | {' | '.join(cells)} | {told['bytes'] / 1e6:.1f} |")
        tower = models["two_tower"]
        whole = sum(tower[part] for part in ("ids", "attributes", "layers"))
        share = tower["ids"] / (whole + tower["ids"])
        lines += [
            "",
            f"Both towers read one table of items: a table each would be {tower['ids']:,} numbers more; "
            f"sharing saves {share:.0%} of all that the towers would learn then.",
            "",
        ]
    return "\n".join(lines).rstrip()


def ann() -> str:
    """Kinds of search, as a channel has them, by what they find in what time: a table a catalogue."""
    run = read_json(BENCHMARKS / "ann.json")
    lines: list[str] = []
    for name, catalogue in run["catalogues"].items():
        size = f"{catalogue['items']:,} vectors of {catalogue['dimensions']}"
        lines += [
            f"**{name}**: {size}, {catalogue['vector_bytes'] / 1e6:.1f} MB, {run['queries']} requests",
            "",
        ]
        lines += [f"| kind | share of the best {run['k']} | p50, ms | p99, ms | index, MB | built, s |"]
        lines += ["| --- | ---: | ---: | ---: | ---: | ---: |"]
        for kind, told in catalogue["kinds"].items():
            (asked,) = [each for each in told["asked"] if each["effort"] == 1]
            cells = [f"{asked['recall']:.3f}", f"{asked['p50_ms']:.2f}", f"{asked['p99_ms']:.2f}"]
            cells += [f"{told['index_bytes'] / 1e6:.1f}", f"{told['build_seconds']:.1f}"]
            lines.append(f"| {kind} | {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines).rstrip()


def negatives(preset: str) -> str:
    """What a ranker learns to put last on a preset's data, and what that is worth, by who judges."""
    run = read_json(BENCHMARKS / f"negatives_{preset}.json")
    judges = list(next(iter(run["orders"].values())))
    lines = [f"| order | {' | '.join(judges)} |", f"| --- |{' ---: |' * len(judges)}"]
    for name, told in run["orders"].items():
        cells = ["{:.3f} ({:.3f}–{:.3f})".format(*told[judge]) for judge in judges]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    seeds = "one seed" if run["seeds"] == 1 else f"means of {run['seeds']} seeds"
    of = f"{run['requests']:,} requests of *test*, {seeds}."
    if "counted" in run:
        of += f" Of their {run['candidates']:,} candidates {run['taken']:,} were taken"
        of += f" and {run['counted'] - run['taken']:,} only shown."
    return "\n".join([*lines, "", of])


def channels() -> str:
    """Each channel by its first line, the reason that users read, and the presets that ask it."""
    presets = {"default": ROOT / "params.yaml", "best": ROOT / "params.best.yaml"}
    asked = {name: yaml.safe_load(path.read_text())["merging"]["channels"] for name, path in presets.items()}
    lines = ["| channel | how it finds | what users read | asked by |", "| --- | --- | --- | --- |"]
    for name in CHANNELS:
        how = inspect.getdoc(channel(name)).splitlines()[0].replace("``", "`")
        by = ", ".join(preset for preset, names in asked.items() if name in names)
        lines.append(f"| `{name}` | {how} | {OF_CHANNEL[name]} | {by or 'where items return'} |")
    return "\n".join(lines)


def encoders() -> str:
    """Each encoder's first line, and its options as its ``fit`` has them, but for those it is given."""
    lines = ["| encoder | what it makes | options |", "| --- | --- | --- |"]
    for name, encoder in ENCODERS.items():
        taken = inspect.signature(encoder.fit).parameters.values()
        options = [each for each in taken if each.kind == each.KEYWORD_ONLY and each.name not in GIVEN]
        told = [
            each.name if each.default is each.empty else f"{each.name}: {json.dumps(each.default)}"
            for each in options
        ]
        cells = ", ".join(f"`{each}`" for each in told)
        lines.append(f"| `{name}` | {inspect.getdoc(encoder).splitlines()[0]} | {cells} |")
    return "\n".join(lines).replace("``", "`")


def results() -> str:
    """Of both splits."""
    summaries = {
        split: pd.read_csv(ROOT / "reports" / split / "evaluation" / "summary.csv") for split in SPLITS
    }
    return "\n\n".join(table(split, each[each["slice"] == "all"]) for split, each in summaries.items())


def preset(name: str) -> str:
    """Of the preset of this name."""
    run = read_json(ROOT / "reports" / "presets" / f"{name}.json")
    counted = ", ".join(f"{n:,} {name}" for name, n in run["data"].items())
    tables = [table(split, pd.DataFrame(rows)) for split, rows in run["splits"].items()]
    took = f"; trained in {run['seconds'] / 60:.0f} minutes" if run["seconds"] else ""
    return "\n\n".join([f"{counted}{took}.", *tables])


BLOCKS: Mapping[Path, Mapping[str, Callable[[], str]]] = {
    README: {
        "results": results,
        "serving": serving,
        "drills": drills,
        "image": image,
        "week": week,
        **capacity_tables.README,
        **quality_tables.README,
    },
    CAPACITY: capacity_tables.CAPACITY,
    QUALITY: {**quality_tables.QUALITY, **ablation_tables.ABLATIONS},
    RANKING: ranking_tables.RANKING,
    MODELS: {"channels": channels, "sizes": sizes, "ann": ann},
    JOURNEY: {
        "complete-journey": partial(preset, "complete-journey"),
        "negatives": partial(negatives, "complete-journey"),
    },
    NEWS: {"news": partial(preset, "news"), "negatives": partial(negatives, "news")},
    SCALE: scale_tables.SCALE,
    DATASET: {"encoders": encoders},
}
"""What stands between marks of its name, by document."""


def rendered(document: Path) -> str:
    """The document with its tables as reports/ has them."""
    text = document.read_text()
    for name, told in BLOCKS[document].items():
        block = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
        text = block.sub(lambda found, told=told: f"{found[1]}\n{told()}\n\n{found[2]}", text)
    return text


def main() -> int:
    """0 when all is written, or equal with ``--check``; 1 when it differs."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, fail where they differ")
    texts = {document: rendered(document) for document in BLOCKS}
    if parser.parse_args().check:
        return int(any(text != document.read_text() for document, text in texts.items()))
    for document, text in texts.items():
        document.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
