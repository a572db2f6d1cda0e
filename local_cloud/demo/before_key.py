"""Assess and prepare the environment *Operations* before the key is applied.

Each flow that is prepared here is migrated by the platform later and needs no copy.
"""

from local_cloud.demo.definitions import build_flow_id
from local_cloud.demo.display_text import format_assessment
from local_cloud.demo.scenario_context import ScenarioContext
from local_cloud.demo.tenant import OPERATIONS
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES
from shared.domain.jobs.flow_states import FlowJobState

#: Flows whose makers agreed to a conversion: an administrator names them.
_NAMED = tuple(build_flow_id(OPERATIONS.name, slug) for slug in ("damage", "night-list"))
#: The approval excludes it, because the maker of its app is away. It is copied after the key.
_LEFT_OUT = build_flow_id(OPERATIONS.name, "old-app")


async def assess(stage: ScenarioContext) -> None:
    """Request the assessment of *Operations* and show it. An assessment changes nothing."""
    found = await stage.app.get(f"environments/{OPERATIONS.id}/assessment")
    stage.note(f"Before the key, Operations is assessed: {format_assessment(found)}")


async def prepare(stage: ScenarioContext) -> None:
    """Prepare *Operations*: convert two flows to V2, then add other flows to a solution."""
    await stage.app.put(f"environments/{OPERATIONS.id}", {"approval_policy": "required"})
    stage.note(
        "The approval policy of Operations is now required: the app writes only what a person "
        "approves."
    )
    stage.note("The makers of two flows agree to V2: a preparation of these flows is started.")
    await _approve_and_wait(stage, await stage.start_remediation("prepare", OPERATIONS, _NAMED))
    stage.note("A second preparation covers the flows whose makers do not have to agree.")
    identity = await stage.start_remediation("prepare", OPERATIONS)
    await _approve_and_wait(stage, identity, except_flows=(_LEFT_OUT,))
    await stage.meter.mark("Operations before the key: assess and prepare")


async def _approve_and_wait(
    stage: ScenarioContext, identity: str, except_flows: tuple[str, ...] = ()
) -> None:
    await stage.wait_for_plan(identity, OPERATIONS)
    if except_flows:
        stage.note("The maker of Answer the old app is away: the approval excludes this flow.")
    await stage.approve(identity, except_flows)

    def is_over() -> bool:
        job = stage.watcher.get_environment_job(identity, OPERATIONS.id)
        return ENVIRONMENT_STATES[job["state"]].is_success

    await stage.wait_until(is_over, "the end of the preparation of Operations")
    titles = [
        job["display_name"]
        for job in stage.watcher.get_remediation(identity)["flow_jobs"]
        if job["state"] == FlowJobState.PREPARED
    ]
    stage.note(f"Prepared: {', '.join(sorted(titles)) or 'nothing'}.")
