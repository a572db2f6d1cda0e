"""Define which entries of the audit log a reader wants to see."""

from dataclasses import dataclass
from datetime import datetime

from shared.domain.audit import AuditEntry
from shared.domain.audit_text import AuditResult, describe_principal, find_result


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Conditions that entries of the audit log must meet. Every entry meets an empty condition."""

    #: Part of the name, or the object id.
    who: str = ""
    operation: str = ""
    result: AuditResult | None = None
    environment_id: str = ""
    remediation_id: str = ""
    #: UTC; entries at `until` and later are left out.
    since: datetime | None = None
    until: datetime | None = None

    def accepts(self, entry: AuditEntry, environment_ids: frozenset[str]) -> bool:
        """Return whether an entry meets all conditions other than the period.

        An entry is about an environment if it names one of `environment_ids`: the environment's id
        and the ids of its remediations.
        """
        who, name = self.who.casefold(), describe_principal(entry.kind, entry.who).casefold()
        if who not in name and who != entry.who_id.casefold():
            return False
        if self.operation and entry.operation != self.operation:
            return False
        if self.result and find_result(entry.status) is not self.result:
            return False
        if not (self.remediation_id or self.environment_id):
            return True
        states = f"{entry.state_before} {entry.state_after}"
        text = f"{entry.target} {entry.request_body} {states}".lower()
        if self.remediation_id.lower() not in text:
            return False
        return not self.environment_id or any(one.lower() in text for one in environment_ids)
