"""Writes tiny/: a made-up, MovieLens-shaped data set in which taste groups can be learned.

python tests/data/make_tiny.py
"""

import csv
from pathlib import Path

import numpy as np

GENRES = ["Action", "Comedy", "Drama", "Horror"]
OCCUPATIONS = ["artist", "clerk", "doctor", "farmer", "teacher"]
FOLDER = Path(__file__).parent / "tiny"
N_USERS, N_ITEMS, SEED = 60, 80, 7
START, DAY = 1_600_000_000, 86_400


def make_users(rng: np.random.Generator) -> tuple[list[dict[str, object]], np.ndarray]:
    """User rows, and each one's favourite genre: it leans on age and gender."""
    taste = np.arange(N_USERS) % len(GENRES)
    age = rng.integers(18, 30, N_USERS) + 12 * taste
    gender = np.where(rng.random(N_USERS) < np.where(taste % 2, 0.8, 0.2), "F", "M")
    rows = [
        {"user_id": f"u{i}", "age": age[i], "gender": gender[i], "occupation": rng.choice(OCCUPATIONS)}
        for i in range(N_USERS)
    ]
    rows[5]["age"] = ""
    return rows, taste


def make_items(rng: np.random.Generator) -> tuple[list[dict[str, object]], np.ndarray]:
    """Item rows, and which genres each has (N_ITEMS, 4); the last two items are never met."""
    main = np.arange(N_ITEMS) % len(GENRES)
    has = np.eye(len(GENRES), dtype=bool)[main] | (rng.random((N_ITEMS, len(GENRES))) < 0.1)
    rows = []
    for i in range(N_ITEMS):
        title = f'Film "{i}", {"The " if i % 3 else ""}Part {i % 5}'
        genres = "|".join(genre for genre, there in zip(GENRES, has[i], strict=True) if there)
        rows.append({"item_id": f"i{i}", "title": title, "genres": genres, "year": 1980 + (i * 7) % 40})
    rows[9]["year"] = ""
    return rows, has


def make_ratings(rng: np.random.Generator, taste: np.ndarray, has: np.ndarray) -> list[dict[str, object]]:
    """Rating rows: users mostly take their favourite genre, popular first, and rate it higher.

    Users come in over the year and rate in bursts, several in one second; u0 has a single rating
    and the last user none.
    """
    popularity = 1 / np.arange(1, N_ITEMS + 1)[rng.permutation(N_ITEMS)] ** 0.7
    popularity[-2:] = 0
    rows = []
    for user in range(N_USERS - 1):
        n = 1 if user == 0 else int(rng.integers(12, 56))
        weight = popularity * np.where(has[:, taste[user]], 8, 1)
        items = rng.choice(N_ITEMS, size=min(n, N_ITEMS - 2), replace=False, p=weight / weight.sum())
        first = START + int(rng.integers(0, 200)) * DAY
        moments = np.sort(first + rng.integers(0, 300 * DAY, len(items)))
        moments = moments[
            np.maximum.accumulate(np.where(rng.random(len(items)) < 0.25, 0, np.arange(len(items))))
        ]
        for item, moment in zip(items, moments, strict=True):
            liked = rng.random() < (0.8 if has[item, taste[user]] else 0.25)
            rating = rng.integers(4, 6) if liked else rng.integers(1, 4)
            rows.append({"user_id": f"u{user}", "item_id": f"i{item}", "rating": rating, "timestamp": moment})
    rng.shuffle(rows)
    return rows


def write(name: str, rows: list[dict[str, object]]) -> None:
    """One CSV file with a header."""
    with (FOLDER / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    rng = np.random.default_rng(SEED)
    users, taste = make_users(rng)
    items, has = make_items(rng)
    write("users.csv", users)
    write("items.csv", items)
    write("ratings.csv", make_ratings(rng, taste, has))
