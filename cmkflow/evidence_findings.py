"""What a check of an evidence file finds."""

from dataclasses import dataclass, field


@dataclass(slots=True, kw_only=True)
class EvidenceFindings:
    """What is wrong with an evidence file, and what the checks show."""

    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    #: What the checks show together; they hold only if nothing is wrong.
    conclusions: list[str] = field(default_factory=list)

    def add(self, more: "EvidenceFindings") -> None:
        """Add what another check has found."""
        self.problems += more.problems
        self.notes += more.notes
        self.conclusions += more.conclusions

    @property
    def lines(self) -> list[str]:
        """Return one line for each finding. A line break inside a finding starts no new line."""
        shown = [] if self.problems else self.conclusions
        return [" ".join(one.splitlines()) for one in (*self.problems, *self.notes, *shown)]
