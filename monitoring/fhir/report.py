"""Report: every resource that was read, counted once: invalid, of no concern, new, known or skipped, and why."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any, Final

COLUMNS: Final = ("read", "invalid", "other", "understood", "new", "updated", "known", "skipped")


@dataclass
class Report:
    """`read = invalid + other + understood`; `understood = new + updated + known + skipped`."""

    counts: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    invalid: list[tuple[str, str, str]] = field(default_factory=list)  # type, place, first fault
    reasons: Counter[tuple[str, str]] = field(default_factory=Counter)  # (type, why) of what was skipped
    skipped: list[tuple[str, str, str]] = field(default_factory=list)  # type, place, why
    notes: list[tuple[str, str]] = field(default_factory=list)  # place, text
    files: int = 0
    left_alone: list[str] = field(default_factory=list)  # files of another kind
    blank_hips: int = 0  # people enrolled of whom nothing is known of either hip

    def read(self, kind: str) -> None:
        self.counts[kind]["read"] += 1

    def is_invalid(self, kind: str, place: str, fault: str) -> None:
        self.counts[kind]["invalid"] += 1
        self.invalid.append((kind, place, fault))

    def is_other(self, kind: str) -> None:
        self.counts[kind]["other"] += 1

    def is_understood(self, kind: str, outcome: str) -> None:
        """`outcome`: new, updated or known."""
        self.counts[kind]["understood"] += 1
        self.counts[kind][outcome] += 1

    def is_skipped(self, kind: str, place: str, why: str) -> None:
        self.counts[kind]["understood"] += 1
        self.counts[kind]["skipped"] += 1
        self.reasons[kind, why] += 1
        self.skipped.append((kind, place, why))

    def note(self, place: str, text: str) -> None:
        self.notes.append((place, text))

    def rows(self) -> list[tuple[Any, ...]]:
        """One row a type, and the sum."""
        kinds = sorted(self.counts)
        rows = [(kind, *(self.counts[kind][column] for column in COLUMNS)) for kind in kinds]
        return [*rows, ("all", *(sum(self.counts[kind][column] for kind in kinds) for column in COLUMNS))]

    def to_json(self) -> dict[str, Any]:
        return {kind: {c: n for c in COLUMNS if (n := counter[c])} for kind, counter in sorted(self.counts.items())}
