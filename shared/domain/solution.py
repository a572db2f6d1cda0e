"""Solutions of Dataverse that hold a flow, and which of them its copy has to join."""

from collections.abc import Iterable
from dataclasses import dataclass

#: Dataverse keeps these by itself: `Active` and `Default` list every unmanaged component, `Basic`
#: belongs to the platform. Who adds to them adds nothing, or is refused.
BUILT_IN = frozenset({"active", "default", "basic"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """One row of the table `solution`."""

    id: str
    unique_name: str
    title: str
    is_managed: bool

    @property
    def takes_copies(self) -> bool:
        """Say whether a copy may join: a managed one is changed where it is made.

        See platform.md#managed-flows.
        """
        return not self.is_managed and self.unique_name.lower() not in BUILT_IN


def solutions_for_copy(solutions: Iterable[Solution]) -> list[Solution]:
    """Return the solutions that a copy joins, by name."""
    return sorted(
        (one for one in solutions if one.takes_copies), key=lambda one: one.unique_name.lower()
    )
