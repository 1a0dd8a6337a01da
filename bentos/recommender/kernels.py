"""Compiled kernels for machines that have no release yet: `python kernels.py compile`.

kernels.json says with which types a release that answers calls each kernel of recsys. They are compiled for
the processor that NUMBA_CPU_NAME and NUMBA_CPU_FEATURES name, into NUMBA_CACHE_DIR. `python kernels.py record
RELEASE...` writes kernels.json anew. What it lacks fails nowhere: it is compiled when a service starts.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory

RECORDED = Path(__file__).with_name("kernels.json")
Called = Mapping[str, Sequence[str]]
"""The types that each kernel, module.name, is called with."""


def compile_all(called: Called) -> int:
    """Compile them, and say how many that were."""
    from numba.core.sigutils import normalize_signature

    for name, signatures in called.items():
        module, _, kernel = name.rpartition(".")
        for signature in signatures:
            types, _ = normalize_signature(signature)  # type: ignore[no-untyped-call]
            getattr(import_module(module), kernel).compile(types)
    return sum(map(len, called.values()))


def called_so_far() -> Called:
    """What this process has called of recsys' kernels, from Python or from those that were compiled here."""
    from numba.core.dispatcher import Dispatcher
    from numba.core.types import Literal

    called: dict[str, list[str]] = {}
    for module in sorted(module for module in sys.modules if module.split(".")[0] == "recsys"):
        for name, each in sorted(vars(sys.modules[module]).items()):
            if isinstance(each, Dispatcher) and each.py_func.__module__ == module:
                # Nobody but another kernel calls with a literal, and that one's code has this one's in it.
                known = [types for types in each.signatures if not any(isinstance(t, Literal) for t in types)]
                called |= {f"{module}.{name}": sorted(map(repr, known))} if known else {}
    return called


def record(releases: Sequence[Path]) -> int:
    """Write what these releases call, and say how much that is."""
    with TemporaryDirectory() as cache:
        os.environ["NUMBA_CACHE_DIR"] = cache  # an empty one: what is read from a cache hides what it calls
        from recsys.serving import Live

        for each in releases:
            Live.load(each)
    called = called_so_far()
    RECORDED.write_text(json.dumps(called, indent=1) + "\n")
    return sum(map(len, called.values()))


def main() -> None:
    """Compile, or record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["compile", "record"])
    parser.add_argument("releases", type=Path, nargs="*", help="folders of releases, to record")
    arguments = parser.parse_args()
    if (arguments.what == "record") != bool(arguments.releases):
        parser.error("record takes folders of releases, compile takes none")
    if arguments.what == "record":
        print(f"{record(arguments.releases)} recorded")
    else:
        print(f"{compile_all(json.loads(RECORDED.read_text()))} compiled")


if __name__ == "__main__":
    main()
