"""Figures, their ratios, and whether they reach what was promised."""

from __future__ import annotations

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """One line of the table.

    ``original``, ``ours`` and ``floor`` are medians in ``unit``. ``reach`` is the
    largest (or, for rates, the smallest) acceptable ratio to the original, ``to_floor``
    to the floor, ``limit`` an absolute bound on ours.
    """

    name: str
    unit: str
    ours: float
    original: float | None = None
    floor: float | None = None
    reach: float | None = None
    to_floor: float | None = None
    limit: float | None = None
    rate: bool = False

    @property
    def verdict(self) -> str:
        """Whether the figure is reached; nothing where nothing was promised."""
        tests = []
        if self.reach is not None and self.original:
            ratio = self.ours / self.original
            tests.append(ratio >= self.reach if self.rate else ratio <= self.reach)
        if self.to_floor is not None and self.floor:
            tests.append(self.ours / self.floor <= self.to_floor)
        if self.limit is not None:
            tests.append(self.ours <= self.limit)
        if not tests:
            return ""
        return "reached" if all(tests) else "MISSED"


def show(figures: list[Figure]) -> bool:
    """Print the table; return whether every promise is kept."""
    table = Table("figure", "unit")
    for column in ("original", "ours", "floor", "ours/original", "ours/floor"):
        table.add_column(column, justify="right")
    table.add_column("promised")
    table.add_column("")
    for figure in figures:
        table.add_row(
            figure.name,
            figure.unit,
            _number(figure.original),
            _number(figure.ours),
            _number(figure.floor),
            _ratio(figure.ours, figure.original),
            _ratio(figure.ours, figure.floor),
            _promise(figure),
            figure.verdict,
        )
    Console(width=150).print(table)
    return all(figure.verdict != "MISSED" for figure in figures)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"


def _ratio(value: float, base: float | None) -> str:
    return f"{value / base:.2f}" if base else ""


def _promise(figure: Figure) -> str:
    sign = ">=" if figure.rate else "<="
    parts = []
    if figure.reach is not None:
        parts.append(f"{sign} {figure.reach:g} x original")
    if figure.to_floor is not None:
        parts.append(f"<= {figure.to_floor:g} x floor")
    if figure.limit is not None:
        parts.append(f"<= {figure.limit:g} {figure.unit}")
    return ", ".join(parts)
