"""What there is in a container, told from within as JSON: `podman exec -i NAME python - < inside.py`."""

import json
import os
import shutil
from importlib.util import find_spec
from pathlib import Path

PROGRAMS = ("c++", "cc", "cmake", "g++", "gcc", "git", "ld", "make")
PACKAGES = ("dvc", "faiss", "implicit", "jupyterlab", "papermill", "pyarrow", "sklearn", "torch")
LEFT = ("/root/.cache", "/root/.config", "/etc/uv", "/run/secrets")
STATUS = dict(line.split(":\t", 1) for line in Path("/proc/self/status").read_text().splitlines())


def compiled(folder: str) -> int:
    """Kernels that numba keeps there."""
    return sum(1 for _ in Path(folder).rglob("*.nbc"))


print(
    json.dumps(
        {
            "uid": os.getuid(),
            "read_only_root": bool(os.statvfs("/").f_flag & os.ST_RDONLY),
            "capabilities": int(STATUS["CapEff"], 16),
            "no_new_privileges": STATUS["NoNewPrivs"] == "1",
            "build_tools": [each for each in PROGRAMS if shutil.which(each)],
            "unwanted_packages": [each for each in PACKAGES if find_spec(each)],
            "leftovers": [each for each in LEFT if os.path.exists(each) and os.listdir(each)],
            "kernels_compiled_at_start": compiled(os.environ["NUMBA_CACHE_DIR"])
            - compiled(os.environ.get("RECSYS_KERNELS") or os.environ["NUMBA_CACHE_DIR"]),
        }
    )
)
