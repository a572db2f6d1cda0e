"""Track writes that a job has sent but not read back, because a read may be older than a write.

See platform.md#reads-lag.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.domain.flow import FlowState


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStateWrite:
    """The last write by which a job turned one of its two flows on or off."""

    state: FlowState
    #: When it was first and last sent.
    first_sent_at: datetime
    last_sent_at: datetime
    #: From this time on a read of the state counts; an earlier one may be older than an opposite
    #: write.
    reads_valid_from: datetime
    #: A read that counts has shown it.
    is_confirmed: bool = False

    def confirms(self, state: FlowState, now: datetime, lag: timedelta) -> bool:
        """Return whether a read that shows `state` now is certainly newer than this write."""
        if state is self.state:
            return self.is_confirmed or now >= self.reads_valid_from
        return now >= self.last_sent_at + lag


@dataclass(frozen=True, slots=True, kw_only=True)
class UnconfirmedWrite:
    """A write that the platform has accepted but does not show yet. It is no `FlowStateWrite`."""

    description: str
    sent_at: datetime


def build_flow_state_write(
    before: FlowStateWrite | None,
    state: FlowState,
    *,
    now: datetime,
    lag: timedelta,
    settles_at: datetime,
) -> FlowStateWrite:
    """Return the record of a write that turns a flow on or off, to store before it is sent.

    Earlier writes may take effect until `settles_at`.
    """
    if before is None or (before.state is state and before.is_confirmed):
        return FlowStateWrite(
            state=state, first_sent_at=now, last_sent_at=now, reads_valid_from=now
        )
    if before.state is state:
        return replace(before, last_sent_at=now)
    is_old = now >= max(before.last_sent_at + lag, settles_at)
    counts_from = now if is_old else max(now + lag, settles_at)
    return FlowStateWrite(
        state=state, first_sent_at=now, last_sent_at=now, reads_valid_from=counts_from
    )
