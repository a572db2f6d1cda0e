"""Define a solution, and find those that a copy has to join."""

from collections.abc import Iterable
from dataclasses import dataclass

#: Dataverse maintains these: `Active` and `Default` list every unmanaged component, and `Basic`
#: belongs to the platform. Adding to them has no effect or fails.
BUILT_IN = frozenset({"active", "default", "basic"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A row of Dataverse's table `solution`."""

    id: str
    unique_name: str
    title: str
    is_managed: bool

    @property
    def takes_copies(self) -> bool:
        """Return whether a copy may join the solution.

        A managed solution is changed only where it is developed. See platform.md#managed-flows.
        """
        return not self.is_managed and self.unique_name.lower() not in BUILT_IN


def list_solutions_for_copy(solutions: Iterable[Solution]) -> list[Solution]:
    """Return which of a flow's solutions its copy joins, sorted by name."""
    return sorted(
        (one for one in solutions if one.takes_copies), key=lambda one: one.unique_name.lower()
    )
