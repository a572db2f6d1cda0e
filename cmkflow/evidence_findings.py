"""What the checks of an evidence file find."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class EvidenceFindings:
    """Problems of an evidence file, and what its checks show."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: What the checks show together; they hold only if nothing is wrong.
    conclusions: list[str] = field(default_factory=list)

    def add(self, more: "EvidenceFindings") -> None:
        """Add the findings of another check."""
        self.problems += more.problems
        self.notes += more.notes
        self.conclusions += more.conclusions

    @property
    def lines(self) -> list[str]:
        """Return one line for each finding. Conclusions are left out if there is a problem."""
        shown = [] if self.problems else self.conclusions
        return [" ".join(one.splitlines()) for one in (*self.problems, *self.notes, *shown)]
