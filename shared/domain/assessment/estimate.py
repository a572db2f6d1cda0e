"""Estimate the effort of a remediation, such as its requests and minutes.

The requests for each flow are constants, which a test compares with a remediation. Retries after
errors of the platform are not included.
"""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from shared.domain.assessment.assessment import AssessedFlow, EffortEstimate
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason

#: Requests to the flow service: co-ownership twice, each time read first; the trigger URL twice;
#: the lists of flows on Microsoft's key; runs during the no-call period; and the licence.
FLOW_SERVICE_CALLS = 13
#: Requests to Dataverse: create, read back, turn on, rename and retire, each read before and after;
#: sharing and solutions, read three times each; and the owner.
DATAVERSE_CALLS = 27
#: Requests to change one caller and read it back.
CALLER_CALLS = 3
#: The lowest daily limit of an application user, in a tenant with Power Automate licences
#: (platform.md#daily-requests).
DAILY_POOL = 25_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessingRates:
    """The settings that limit how fast the app works."""

    flow_service_requests_per_minute: int
    flow_service_requests_per_day: int
    no_call_period: timedelta


def estimate_effort(
    flows: Collection[AssessedFlow], rates: ProcessingRates, *, has_read_all: bool = True
) -> EffortEstimate:
    """Return the effort of copying the flows that stay, or may stay, on Microsoft's key.

    Excludes flows in managed solutions, flows that need only an edit, and flows that need no new
    remediation. If `has_read_all` is False, the app could not read some flows, so the effort may be
    higher.
    """
    copied = [
        flow
        for flow in flows
        if flow.remediation_status.needs_remediation
        and not flow.is_managed
        and not needs_only_an_edit(flow.microsoft_key_reasons)
    ]
    callers = {(one.kind, one.label): one for flow in copied for one in flow.callers}
    manual = sum(bool(caller.manual_reason) for caller in callers.values())
    flow_service = FLOW_SERVICE_CALLS * len(copied)
    ours = len(callers) - manual
    calls = flow_service + DATAVERSE_CALLS * len(copied) + CALLER_CALLS * ours
    return EffortEstimate(
        copies=len(copied),
        callers=ours,
        manual_callers=manual,
        requests=calls,
        minutes=_estimate_minutes(flow_service, rates),
        no_call_days=math.ceil(rates.no_call_period / timedelta(days=1)) if copied else 0,
        share_of_daily_pool=round(calls / DAILY_POOL, 4),
        unknown_reason=_describe_incomplete_estimate(copied, has_read_all=has_read_all),
        url_holder_count=sum(caller.holds_url for caller in callers.values()),
    )


def needs_only_an_edit(microsoft_key_reasons: Collection[str]) -> bool:
    """Return whether an edit of the flow removes all these reasons."""
    return set(microsoft_key_reasons) == {MicrosoftKeyReason.LIST_FLOWS_AS_ADMIN_V1}


def _estimate_minutes(calls: int, rates: ProcessingRates) -> int:
    days, rest = divmod(calls, rates.flow_service_requests_per_day * 9 // 10 or 1)
    by_minute = calls / rates.flow_service_requests_per_minute
    by_day = days * 24 * 60 + rest / rates.flow_service_requests_per_minute
    return math.ceil(max(by_minute, by_day))


def _describe_incomplete_estimate(copied: Collection[AssessedFlow], *, has_read_all: bool) -> str:
    if not has_read_all:
        return "Not all flows could be read, so the effort may be higher."
    doubtful = sum(bool(flow.callers_unknown_reason) for flow in copied)
    if not doubtful:
        return ""
    flows = "1 flow" if doubtful == 1 else f"{doubtful} flows"
    return f"Not all callers of {flows} are known, so the effort may be higher."
