"""Check the names of issues to ignore, because a misspelled name would have no effect."""

import re
from collections.abc import AsyncIterator, Collection

from shared.alerts import read_readable
from shared.domain.environment import Environment
from shared.domain.network.issue_lookup import suggest_issue_names
from shared.errors import IssueNotFound
from shared.ports import Condition
from shared.reason import Reason
from shared.services import Services
from shared.steps.flows.check_network import build_network_view, read_all_firewalls

#: Reasons of jobs that wait until the named issue is ignored or resolved.
RESOLVED_BY_NAME = (
    Reason.FIREWALL_DENIES,
    Reason.FIREWALL_FIX_FAILED,
    Reason.OUTBOUND_CALL_BLOCKED,
    Reason.START_WOULD_FAIL,
)


async def require_known_issues(
    services: Services, environment: Environment, names: Collection[str]
) -> None:
    """Raise `IssueNotFound` for a name that no known issue of the environment has.

    Reads firewalls only for names that no row contains.
    """
    recorded = [name async for name in _read_recorded_issue_names(services, environment.id)]
    texts = [text async for text in _read_texts_of_blocked_jobs(services, environment.id)]
    said = "\n".join(texts)
    left = [one for one in names if one not in recorded and not _contains_name(one, said)]
    if not left:
        return
    firewalls, tags = await read_all_firewalls(services)
    network = build_network_view(services, environment, firewalls, tags)
    known = {*recorded, *(gap.name for gap in network.find_required_issues())}
    for name in left:
        if name not in known:
            raise IssueNotFound(
                f"No issue {name} in {environment.display_name}.",
                fix=suggest_issue_names(name, known),
            )


def _contains_name(name: str, text: str) -> bool:
    """Return whether a text contains the name, and not only as part of a longer name."""
    return bool(re.search(rf"(?<![\w./#:-]){re.escape(name)}(?![\w/#:-]|\.\w)", text))


async def _read_recorded_issue_names(services: Services, environment_id: str) -> AsyncIterator[str]:
    where = [Condition("environment_id", "eq", environment_id)]
    rows = read_readable(services, services.tables.environment_jobs.scan(where=where))
    async for job in rows:
        for finding in job.item.firewall_issues:
            yield finding.name
    calls = services.tables.blocked_calls.scan(environment_id)
    async for call in read_readable(services, calls):
        yield call.item.name
    async for edition in read_readable(
        services, services.tables.service_tag_list_versions.scan("service_tag_list_version")
    ):
        for firewall in edition.item.affected_firewalls:
            yield firewall.issue


async def _read_texts_of_blocked_jobs(
    services: Services, environment_id: str
) -> AsyncIterator[str]:
    """Yield the texts of jobs that such an issue blocks, which contain the issue's name."""
    for code in RESOLVED_BY_NAME:
        where = [Condition("reason_code", "eq", code)]
        async for job in read_readable(
            services, services.tables.flow_jobs.scan(environment_id, where=where)
        ):
            yield f"{job.item.message} {job.item.fix}"
