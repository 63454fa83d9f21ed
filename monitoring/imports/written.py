"""Written: what saving one row wrote and what undoing it took back, as the row keeps them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

FactKeys = list[tuple[str, int]]  # (kind, id)


def _pairs(plain: Iterable[Any]) -> FactKeys:
    return [(str(kind), int(pk)) for kind, pk in plain]


@dataclass
class Wrote:
    """What saving one row wrote. `until`: afterwards, whatever else was done about the patient is others' work."""

    until: datetime
    enrolled: bool = False  # the row made the patient, or took one up again whom undoing had ended
    facts: FactKeys = field(default_factory=list)
    exposures: list[int] = field(default_factory=list)
    changes: dict[str, tuple[str, str]] = field(default_factory=dict)  # detail -> (before, after)
    wished: bool | None = None
    died_on: str = ""

    def to_json(self) -> dict[str, Any]:
        plain = {name: value for name, value in vars(self).items() if value not in (None, False, "", [], {})}
        if self.wished is False:
            plain["wished"] = False
        return plain | {"until": self.until.isoformat()}

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(
            **{
                **plain,
                "until": datetime.fromisoformat(plain["until"]),
                "facts": _pairs(plain.get("facts", ())),
                "changes": {name: (before, after) for name, (before, after) in plain.get("changes", {}).items()},
            }
        )


@dataclass(frozen=True)
class TakenBack:
    """What undoing took back of one patient; a later import may bring exactly this again."""

    facts: FactKeys = field(default_factory=list)
    exposures: list[int] = field(default_factory=list)
    endings: list[int] = field(default_factory=list)  # by which both hips were ended as entered in error
    wish: str = ""  # how the contact wish that undoing recorded says it came about

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> Self:
        return cls(
            _pairs(plain.get("facts", ())),
            list(plain.get("exposures", ())),
            list(plain.get("endings", ())),
            str(plain.get("wish", "")),
        )
