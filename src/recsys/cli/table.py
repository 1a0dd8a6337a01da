"""A table for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence


def table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """Lines of equal columns, the names first; a column of numbers stands to the right."""
    columns = list(zip(names, *rows, strict=True))
    widths = [max(map(len, column)) for column in columns]
    right = [all(map(_is_number, column[1:])) for column in columns]
    for row in (names, *rows):
        cells = [
            cell.rjust(width) if numeric else cell.ljust(width)
            for cell, width, numeric in zip(row, widths, right, strict=True)
        ]
        yield "  ".join(cells).rstrip()


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True
