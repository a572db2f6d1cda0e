"""Read from a request which entries of the audit log to return."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from functions.http_requests import RequestModel, Search
from shared.domain.audit import AuditFilter
from shared.domain.audit_text import AuditResult
from shared.domain.ids import normalize_environment_id
from shared.validation_text import TextPattern

#: A day in UTC, such as 2030-01-31; empty for no limit.
type Day = Annotated[
    str,
    TextPattern(
        r"^(20[0-9]{2}-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])"
        r"|20[0-9]{2}-(0[13-9]|1[0-2])-(29|30)|20[0-9]{2}-(0[13578]|1[02])-31"
        r"|20([02468][048]|[13579][26])-02-29)?$",
        "Use a date from 2000 to 2099, such as 2030-01-31.",
    ),
]
#: An id, or its beginning; empty for any.
type IdPart = Annotated[
    str,
    TextPattern(
        r"^[A-Za-z0-9-]{0,80}$", "Use an id, or its beginning: letters, digits and dashes."
    ),
]


class AuditFilterQuery(RequestModel):
    """Which entries of the audit log to return. An empty parameter selects all."""

    #: Part of a name, or an object id.
    who: Search = ""
    #: Name of an operation, such as `approve_remediation`.
    operation: Annotated[
        str,
        TextPattern(
            r"^[a-z_]{0,60}$", "Use the name of an operation, such as approve_remediation."
        ),
    ] = ""
    result: Literal[""] | AuditResult = ""
    #: Entries about this environment or its remediations.
    environment: IdPart = ""
    remediation: IdPart = ""
    #: First and last day of the period, in UTC.
    since: Day = ""
    until: Day = ""

    @property
    def filter(self) -> AuditFilter:
        return AuditFilter(
            who=self.who.strip(),
            operation=self.operation,
            result=self.result or None,
            environment_id=normalize_environment_id(self.environment),
            remediation_id=self.remediation,
            since=_compute_start_of_day(self.since) if self.since else None,
            until=_compute_start_of_day(self.until) + timedelta(days=1) if self.until else None,
        )


class AuditExportQuery(AuditFilterQuery):
    """Which entries of the audit log to export, and in which format."""

    format: Literal["csv", "json"] = "csv"


def _compute_start_of_day(day: str) -> datetime:
    return datetime.combine(date.fromisoformat(day), time.min, UTC)
