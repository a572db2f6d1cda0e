"""Define the temporary co-ownerships that a job grants the service account."""

from dataclasses import dataclass
from datetime import datetime
from typing import Self

from shared.domain.jobs.replace_fields import replace


@dataclass(frozen=True, slots=True, kw_only=True)
class Grants:
    """The flows of which the service account is, or was, co-owner for a job.

    A flow of another environment is named `environment/flow`.
    """

    #: To be revoked.
    active: tuple[str, ...] = ()
    #: At any time. The service account was co-owner of none of them before.
    past: tuple[str, ...] = ()
    #: Revoked grants whose removal was not read back yet, and when the last of them was revoked.
    returned: tuple[str, ...] = ()
    returned_at: datetime | None = None

    def add_active_grant(self, flow: str) -> Self:
        """Return the grants with an active grant for this flow."""
        active, past = (dict.fromkeys((*names, flow)) for names in (self.active, self.past))
        return replace(self, active=tuple(active), past=tuple(past))

    def mark_revoked(self, *flows: str, at: datetime) -> Self:
        """Return the grants after those for these flows were revoked. A later read has to confirm
        that.
        """
        return replace(
            self,
            active=tuple(name for name in self.active if name not in flows),
            returned=tuple(dict.fromkeys((*self.returned, *flows))),
            returned_at=at,
        )


@dataclass(frozen=True, kw_only=True)
class GrantingJob:
    """The part of a job's row that records temporary co-ownerships of the service account."""

    grants: Grants = Grants()
    #: As in `DurableJob`.
    in_flight_until: datetime | None = None

    @property
    def has_grants(self) -> bool:
        """Return whether the job has active grants, or a write that may still create one."""
        return bool(self.grants.active or (self.grants.past and self.in_flight_until))

    @property
    def has_grants_to_check(self) -> bool:
        """Return whether the job has active grants, or revoked ones that a read has not
        confirmed.
        """
        return self.has_grants or bool(self.grants.returned)
