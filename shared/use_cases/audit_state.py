"""Read the state of what a request changes, for the audit log.

Each function gets the id that the request names.
"""

from collections import Counter
from typing import Any, cast

from shared.domain.environment import EnvironmentSettings
from shared.domain.ids import normalize_environment_id
from shared.services import Services
from shared.state.rows import get_type_adapter
from shared.steps.write_permission import find_kill_switch, read_environment_settings
from shared.use_cases.archive_runs import show_run_archives
from shared.use_cases.audit_log import State
from shared.use_cases.change_solution_setting import read_solution_setting_change
from shared.use_cases.declare_callers import list_declared_callers
from shared.use_cases.manage_firewall_fixes import list_applied_fixes
from shared.use_cases.read_remediation_rows import get_remediation, read_jobs
from shared.use_cases.record_address_ranges import list_known_versions


async def read_environment_state(services: Services, environment_id: str) -> State:
    """Return the settings of an environment."""
    # In the platform's spelling, because a request may use another case.
    settings = await read_environment_settings(services, normalize_environment_id(environment_id))
    state: State = get_type_adapter(cast("Any", EnvironmentSettings)).dump_python(
        settings, mode="json", exclude={"display_name"}
    )
    return state


async def read_new_remediation(services: Services, remediation_id: str) -> State:
    """Return what a remediation was started with, or nothing before it exists."""
    if not remediation_id:
        return {}
    made = await get_remediation(services, remediation_id)
    return {
        "remediation": made.id,
        "created_at": made.created_at.isoformat(),
        "mode": str(made.mode),
        "environment_ids": made.environment_ids,
        "flow_ids": made.flow_ids,
        "compare_all_flows": made.compare_all_flows,
    }


async def read_new_assessment(services: Services, identity: str) -> State:
    """Return the environments of an assessment, or nothing before it exists."""
    kept = await services.tables.remediations.get("remediation", identity)
    if kept is None:
        return {}
    return {"assessment": identity, "environment_ids": kept.item.environment_ids}


async def read_remediation_state(services: Services, remediation_id: str) -> State:
    """Return a remediation's environment states, approvals, and number of flows by state."""
    identity = remediation_id.lower()
    flows = Counter(str(job.state) for job in await read_jobs(services, identity))
    jobs = await services.tables.environment_jobs.read_all(identity)
    return {
        **{job.environment_id: str(job.state) for job in jobs},
        **{f"{job.environment_id} approved": job.approved_version for job in jobs},
        "flow_states": dict(flows),
    }


async def read_archives_state(services: Services, remediation_id: str) -> State:
    """Return the state of each run archive, by job."""
    shown = await show_run_archives(services, remediation_id.lower())
    return {
        one.job_id: {"of": one.display_name, "state": str(one.state), "runs": one.runs}
        for one in shown.archives
    }


async def read_firewall_fixes(services: Services, _: str) -> State:
    """Return the entries that the app has added to firewalls, by list and environment."""
    return {
        f"{one.issue} in {one.added_entries.resource_id} {one.added_entries.list_name}".rstrip(): {
            "state": str(one.state),
            "entries": one.added_entries.entries,
            "environment_ids": one.environment_ids,
        }
        for one in await list_applied_fixes(services)
    }


async def read_solution_setting_change_state(services: Services, environment_id: str) -> State:
    """Return the app's last change of an environment's solution setting, or nothing."""
    change = await read_solution_setting_change(services, normalize_environment_id(environment_id))
    return {"solution_setting": str(change.state)} if change else {}


async def read_support_request(services: Services, request_id: str) -> State:
    """Return who filed a support request, with its ticket number, or nothing if nobody did."""
    kept = await services.tables.support_requests.get("support_request", request_id)
    if kept is None or kept.item.filed_at is None:
        return {}
    return {"filed_by": kept.item.filed_by, "ticket_number": kept.item.ticket_number}


async def read_service_tag_lists(services: Services, _: str) -> State:
    """Return the known versions of Microsoft's service tag list, with their open issues."""
    return {
        str(one.change_number): {
            "last_checked_at": one.last_checked_at.isoformat(),
            "reason_code": one.reason_code,
            "affected_firewalls": [closed.issue for closed in one.affected_firewalls],
        }
        for one in await list_known_versions(services)
    }


async def read_keys_state(services: Services, _: str) -> State:
    """Return the level of each finding about a key, by policy."""
    levels: dict[str, dict[str, str]] = {}
    for one in await services.tables.key_alerts.read_all():
        finding = one.finding
        found = levels.setdefault(one.policy_id, {})
        found[f"{finding.code} {finding.subject}".rstrip()] = str(finding.level)
    return levels


async def read_declared_callers(services: Services, _: str) -> State:
    """Return the owner of each declared caller, and whether each of its flows is confirmed."""
    state: dict[str, str] = {}
    for caller in await list_declared_callers(services):
        state[f"{caller.name}: owner"] = f"{caller.owner}, {caller.contact}"
        for flow in caller.flows:
            name = flow.display_name or flow.flow_id or flow.trigger_url_id
            confirmed = f"confirmed by {flow.confirmed_by}" if flow.confirmed_by else "declared"
            state[f"{caller.name}: {name}"] = confirmed
    return state


async def read_kill_switch(services: Services, _: str) -> State:
    """Return the state of the kill switch."""
    flag = await find_kill_switch(services)
    return {"is_on": flag.is_on, "justification": flag.justification} if flag else {"is_on": False}
