"""Define an environment's setting that creates new flows in a solution, and the app's change of it.

See platform.md#solution-by-default.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from shared.reason import Reason


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionSetting:
    """The solution setting of an environment, as read from Dataverse."""

    #: Id of the row that has the setting.
    organization_id: str
    #: Whether new flows are created in a solution; None: never set.
    is_on: bool | None


class SolutionSettingState(StrEnum):
    """The state of the app's change of the solution setting."""

    APPLYING = "applying"  #: recorded; may be written already
    APPLIED = "applied"  #: read back
    REVERTING = "reverting"  #: the former value is being restored
    REVERTED = "reverted"  #: the former value is read back


@dataclass(frozen=True, slots=True, kw_only=True)
class SolutionSettingChange:
    """The row of the app's last change of the solution setting in one environment.

    It is stored before the change is made.
    """

    environment_id: str
    #: The value before the app turned the setting on.
    former_value: bool | None
    state: SolutionSettingState
    changed_by: str
    changed_at: datetime
    #: When Dataverse accepted the change; None: it was read back since.
    unseen_since: datetime | None = None

    @property
    def is_under_way(self) -> bool:
        return self.state in {SolutionSettingState.APPLYING, SolutionSettingState.REVERTING}

    @property
    def reason_code(self) -> str:
        """Return the reason code that reports an interrupted change, or "" if it is complete."""
        return Reason.SOLUTION_SETTING_UNFINISHED if self.is_under_way else ""
