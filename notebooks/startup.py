"""What a kernel of JupyterLab does first: paths in notebooks are relative to the root, as under run.py."""

import os
from pathlib import Path

os.chdir(Path(__file__).parents[1])
