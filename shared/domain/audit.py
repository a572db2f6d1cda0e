"""The audit trail: who ordered what, from where, and what became of it."""

from dataclasses import dataclass
from datetime import UTC, datetime

from shared.domain.principal import PrincipalKind

#: Later than every moment, so that what is counted down from it sorts the newest first.
_END = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One order over HTTP. It has two rows: one before anything is done, one with the outcome.

    Neither is ever replaced. An order whose second row is missing was cut off: whether it was done
    is to be seen where it would show. A call that was refused at the door has one row.
    """

    id: str
    at: datetime
    who: str
    #: Object id in Entra; empty: a function key's holder, who may write any name.
    who_id: str
    kind: PrincipalKind
    #: Address and program that the order came from, as far as they are told.
    source: str
    #: The name of the route, such as `approve_remediation`.
    action: str
    #: The address, such as `/api/remediations/…/approve`.
    target: str
    #: What was asked for, as JSON without secrets.
    asked: str
    #: What it is about, as JSON, before and after; empty where nothing of it is kept.
    before: str = ""
    after: str = ""
    #: Status of the answer; None: the row from before.
    status: int | None = None
    #: Why it was refused.
    reason: str = ""
    #: Who called may not call this route at all: the first such call of the hour.
    is_refusal: bool = False

    @property
    def place(self) -> str:
        """Return where it stands among all rows: the newest first, an outcome before its order.

        A refusal stands at the beginning of its hour: there is no second place for it.
        """
        at = self.at.replace(minute=0, second=0, microsecond=0) if self.is_refusal else self.at
        left = int((_END - at).total_seconds() * 1_000_000)
        return f"{left:020}-{self.id}-{int(self.status is None)}"
