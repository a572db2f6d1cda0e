"""What a remediation is expected to take: calls, minutes, and a share of the tenant's pool.

The calls of one flow are those that a whole remediation of a called flow takes, rounded up; a test
holds them to it. What a tenant's own refusals cost beside them is not in it.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.assessment.assessment import AssessedFlow, EffortEstimate

#: Calls to the flow service: co-ownership twice, each time looked at first, URL twice, reports,
#: runs until it is quiet, its licence, its part of the lists that prove copies.
FLOW_SERVICE_CALLS = 13
#: Calls to Dataverse: create, read back, turn on, rename, retire, each read before and after; whom
#: the flow is shared with and its solutions, looked at three times; its owner.
DATAVERSE_CALLS = 27
#: Calls to change one caller and read it back.
CALLER_CALLS = 3
#: The smallest pool of an application user, for a tenant of Power Automate licences
#: (platform.md#daily-requests).
DAILY_POOL = 25_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingRates:
    """The app's own settings that decide how fast it goes."""

    flow_service_calls_per_minute: int
    flow_service_calls_per_day: int
    quiet_period: timedelta


def estimate_effort(
    flows: Collection[AssessedFlow], rates: ProcessingRates, *, has_read_all: bool = True
) -> EffortEstimate:
    """Return what copying these flows takes; those in doubt count, managed ones do not.

    `has_read_all` False: there may be flows that stay and were not read.
    """
    copied = [flow for flow in flows if not flow.is_managed]
    callers = {(one.kind, one.label): one for flow in copied for one in flow.callers}
    manual = sum(bool(caller.manual) for caller in callers.values())
    flow_service = FLOW_SERVICE_CALLS * len(copied)
    ours = len(callers) - manual
    calls = flow_service + DATAVERSE_CALLS * len(copied) + CALLER_CALLS * ours
    return EffortEstimate(
        copies=len(copied),
        callers=ours,
        manual_callers=manual,
        calls=calls,
        minutes=_minutes(flow_service, rates),
        quiet_days=math.ceil(rates.quiet_period / timedelta(days=1)) if copied else 0,
        share_of_daily_pool=round(calls / DAILY_POOL, 4),
        gap=_gap(copied, has_read_all=has_read_all),
    )


def _minutes(calls: int, rates: ProcessingRates) -> int:
    """Return how long so many calls take at the rate of a minute, or of a day less its reserve."""
    days, rest = divmod(calls, rates.flow_service_calls_per_day * 9 // 10 or 1)
    by_minute = calls / rates.flow_service_calls_per_minute
    by_day = days * 24 * 60 + rest / rates.flow_service_calls_per_minute
    return math.ceil(max(by_minute, by_day))


def _gap(copied: Collection[AssessedFlow], *, has_read_all: bool) -> str:
    if not has_read_all:
        return "Not all flows could be read: it may take more."
    doubtful = sum(bool(flow.callers_gap) for flow in copied)
    if not doubtful:
        return ""
    flows = "1 flow" if doubtful == 1 else f"{doubtful} flows"
    return f"Of {flows} not all callers are known: it may take more."
