"""Changes: who did what to which patient, announced by the writers to whoever must follow.

The one inversion in the code base: recording (below) must not know evaluation and audit (above), yet both happen in
its transaction. Listeners are called in the order in which they subscribed; what one raises reaches the writer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Actor:
    """A person or a named system run. Every write names one."""

    name: str
    user_id: int | None = None
    request_id: str = ""

    @classmethod
    def system(cls, run: str) -> "Actor":
        return cls(name=f"system: {run}")


@dataclass(frozen=True, slots=True)
class Change:
    """One act on one patient, or on a clinic (no `patient_id`): `facts` lists what was added as (kind, id)."""

    act: str
    by: Actor
    clinic_id: int
    patient_id: int | None
    facts: tuple[tuple[str, int], ...] = ()
    before: Mapping[str, Any] = field(default_factory=dict)
    after: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    clinical: bool = True  # whether the record that the guideline reads may have changed


Listener = Callable[[Change], None]
_listeners: list[Listener] = []


def subscribe(listener: Listener) -> None:
    """Call `listener` for every later change; subscribing twice has no effect."""
    if listener not in _listeners:
        _listeners.append(listener)


def announce(change: Change) -> None:
    """Tell every listener, inside the caller's transaction."""
    for listener in _listeners:
        listener(change)
