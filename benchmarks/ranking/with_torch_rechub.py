"""torch-rechub's MMOE on examples that are encoded already: `python with_torch_rechub.py FOLDER`.

FOLDER holds settings.json and, for the examples to learn from and those to score, `numbers` (n, d) float32,
`ids` (n, c), `lists` (n, l) padded with 0 and, to learn from, `labels` (n, tasks), as .npy files. Written are
probabilities.npy (n, tasks) and told.json. Runs in an environment of its own: see requirements.txt.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torch_rechub.basic.features import DenseFeature, SequenceFeature, SparseFeature
from torch_rechub.models.multi_task import MMOE
from torch_rechub.trainers import MTLTrainer

KINDS = ("numbers", "ids", "lists")


class Rows(Dataset):
    """Whole batches at a time: a row each would take longer than the training."""

    def __init__(self, folder: Path, part: str, batch_size: int, seed: int | None) -> None:
        self.columns = {
            path.name.removeprefix(f"{part}.").removesuffix(".npy"): np.load(path)
            for path in sorted(folder.glob(f"{part}.*.npy"))
        }
        n = len(self.columns["numbers"])
        order = np.arange(n) if seed is None else np.random.default_rng(seed).permutation(n)
        self.batches = np.array_split(order, -(-n // batch_size))

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, number: int):
        if number >= len(self):
            raise IndexError(number)
        rows = {name: torch.from_numpy(values[self.batches[number]]) for name, values in self.columns.items()}
        labels = rows.pop("labels", None)
        features = {"numbers": rows["numbers"]}
        for kind in ("ids", "lists"):
            features |= {name: rows[name] for name in rows if name.startswith(kind)}
        return features if labels is None else (features, labels)


def features(told: dict) -> list:
    """What the library calls its features."""
    made = [DenseFeature("numbers", embed_dim=told["numbers"])]
    for name, size in told["sizes"].items():
        kind = SparseFeature if name.startswith("ids") else SequenceFeature
        pooling = {} if name.startswith("ids") else {"pooling": "mean"}
        made.append(kind(name, vocab_size=size, embed_dim=told["embedding_dim"], padding_idx=0, **pooling))
    return made


def main() -> None:
    """Learn, then score."""
    folder = Path(sys.argv[1])
    told = json.loads((folder / "settings.json").read_text())
    torch.manual_seed(told["seed"])
    torch.set_num_threads(1)
    began = time.perf_counter()
    body = {"activation": "relu", "dropout": told["dropout"]}
    model = MMOE(
        features(told),
        ["classification"] * len(told["tasks"]),
        told["n_experts"],
        {"dims": told["widths"], **body},
        [{"dims": told["tower"], **body} for _ in told["tasks"]],
    )
    trainer = MTLTrainer(
        model,
        ["classification"] * len(told["tasks"]),
        optimizer_params={"lr": told["learning_rate"], "weight_decay": told["regularization"]},
        adaptive_params={"method": told["weighed"]} if told["weighed"] else None,
    )
    for epoch in range(told["epochs"]):
        rows = Rows(folder, "learned", told["batch_size"], told["seed"] * 1000 + epoch)
        trainer.train_one_epoch(DataLoader(rows, batch_size=None))
    seconds = time.perf_counter() - began
    scored = trainer.predict(model, DataLoader(Rows(folder, "scored", 8192, None), batch_size=None))
    np.save(folder / "probabilities.npy", np.array(scored, dtype=np.float32))
    n = sum(each.numel() for each in model.parameters())
    (folder / "told.json").write_text(json.dumps({"seconds": seconds, "parameters": n}))


if __name__ == "__main__":
    main()
