"""What BentoML's own image of the service is made of: `bentoml build`, then `bentoml containerize`."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from bentoml.images import Image
from packaging.requirements import Requirement

REPOSITORY = Path(__file__).resolve().parents[2]
NEEDED = Requirement(f"recsys[{os.environ.get('RECSYS_EXTRAS', 'serve,s3')}]")
"""``serve,s3,ann`` where channels have an index."""
KERNELS = ("kernels.py", "kernels.json")


class Runtime(Image):  # type: ignore[misc]
    """Has the package of the repository that it is built in, and the versions that are installed there."""

    def freeze(self, bento_fs: Path, *others: Any, **more: Any) -> Any:
        """Write the files of the image below ``bento_fs``; only a Bento that is built needs any of this."""
        wheels = bento_fs / "src" / "wheels"
        own = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(wheels), str(REPOSITORY)]
        subprocess.run([sys.executable, "-m", "pip", *own], check=True)
        (wheel,) = wheels.iterdir()
        self.python_requirements = "\n".join([f"./wheels/{wheel.name}", *pins(NEEDED)]) + "\n"
        return super().freeze(bento_fs, *others, **more)


def pins(needed: Requirement) -> list[str]:
    """The versions installed here of all that ``needed`` needs."""
    found: dict[str, set[str]] = {}
    waiting = [needed]
    while waiting:
        each = waiting.pop()
        extras = found.setdefault(each.name, set())
        new = ({""} | each.extras) - extras
        extras |= new
        waiting += [
            needs
            for needs in map(Requirement, metadata.requires(each.name) or ())
            if any(needs.marker is None or needs.marker.evaluate({"extra": extra}) for extra in new)
        ]
    return sorted(f"{name}=={metadata.version(name)}" for name in found if name != needed.name)


RUNTIME = Runtime(
    base_image="python:3.11-slim-bookworm",
    distro="as it is",  # of one that BentoML knows it installs the build tools
    lock_python_packages=False,
    build_include_paths=["wheels", *KERNELS],
    post_commands=["python src/kernels.py compile && chown -R bentoml $NUMBA_CACHE_DIR"],
)
