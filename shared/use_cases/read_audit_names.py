"""Find the names of the objects that entries of the audit log are about."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.domain.audit import AuditEntry
from shared.domain.audit_text import TargetKind, find_audit_target, parse_state
from shared.domain.ids import is_identifier
from shared.domain.plans.remediation import Remediation, build_environment_job_id
from shared.services import Services
from shared.use_cases.read_job_index import get_rows, read_environment_names
from shared.use_cases.read_remediation_rows import RowReader

#: Most flows of an entry, and of a page, whose names are read.
FLOWS_NAMED = 3
_FLOWS_READ = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditNames:
    """The names of the objects that audit entries are about, as far as these exist."""

    #: Names of environments, by id.
    environments: Mapping[str, str]
    #: Remediations that exist, by id.
    remediations: Mapping[str, Remediation]
    #: Names of flows, by workflow id.
    flows: Mapping[str, str]


async def read_audit_names(services: Services, entries: Sequence[AuditEntry]) -> AuditNames:
    """Return the names of the objects that these entries are about."""
    reading = RowReader()
    targets = [(find_audit_target(one.target, one.state_after), one) for one in entries]
    ids = {one.id.lower() for one, _ in targets if one.kind is TargetKind.REMEDIATION}
    places = [("remediation", one) for one in sorted(filter(is_identifier, ids))]
    found = await get_rows(services.tables.remediations, places, reading)
    remediations = {one.id: one for one in found}
    items = [
        (build_environment_job_id(remediation.id, environment_id), flow_id.lower())
        for target, entry in targets
        if (remediation := remediations.get(target.id.lower()))
        for flow_id in filter(is_identifier, list_flow_ids(entry)[:FLOWS_NAMED])
        for environment_id in remediation.environment_ids
    ]
    wanted = list(dict.fromkeys(items))[:_FLOWS_READ]
    named = await get_rows(services.tables.plan_items, wanted, reading)
    return AuditNames(
        environments=await read_environment_names(services, reading),
        remediations=remediations,
        flows={one.workflow_id: one.display_name for one in named},
    )


def list_flow_ids(entry: AuditEntry) -> list[str]:
    """Return the ids or names of the flows that a request names."""
    found = parse_state(entry.request_body).get("flow_ids")
    return [str(one) for one in found] if isinstance(found, list) else []
