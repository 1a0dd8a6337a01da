"""The parameters that another data set needs: a preset for `recsys train --preset`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recsys.data.spec import DatasetSpec
from recsys.drafting.draft import quoted


def preset_name(spec: DatasetSpec) -> str:
    """What the preset is called: after the data set, without points."""
    return spec.name.replace(".", "-").lower()


def preset(folder: Path, spec: DatasetSpec) -> str:
    """The text of ``params.NAME.yaml`` for the data set in ``folder``, as seen from here."""
    return "\n".join(_lines(folder, spec)) + "\n"


def _lines(folder: Path, spec: DatasetSpec) -> Iterator[str]:
    inside = folder.resolve().is_relative_to(Path.cwd())
    path = folder.resolve().relative_to(Path.cwd()) if inside else folder.resolve()
    of_users = spec.users.attributes.values() if spec.users else ()
    segments = [each.name for each in of_users if each.encoder == "vocabulary"]
    yield f"# The preset `{preset_name(spec)}`, drafted by `recsys data init`: what differs from params.yaml."
    yield f"data: {{dataset: {quoted(str(path))}{_splits(spec)}}}"
    others = f"  # or {', '.join(segments)}: what is popular with people alike" if segments else ""
    yield f"cf: {{segment: null}}{others}"
    if spec.seen_items_return:
        yield "merging:  # `again` recalls what somebody had: not without seen_items_return"
        yield "  channels: [popular, again, item_cf, user_cf, swing, mf, two_tower, cluster]"
    task = next(iter(spec.tasks))
    yield "mmoe:"
    tasks = ", ".join(spec.tasks)
    yield f"  ranker: {{formula: {{{quoted(task)}: 1.0}}}}  # what lists are ordered by: of {tasks}"
    if spec.interactions.columns.timestamp is None:
        yield "release: {split: leave_last_out}"


def _splits(spec: DatasetSpec) -> str:
    return "" if spec.interactions.columns.timestamp else ", splits: {global_time: null}"
