"""Public flows that nobody here wrote go through the whole job, on the wire.

The platform holds every one of them back. Each is assessed and planned and comes to its planned
end; each copy says what its original says.
"""

import json
import os
from collections.abc import Collection, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.demo.definitions import derive_id
from local_cloud.demo.flow_folder import read_folders
from local_cloud.demo.tenant import MAKER as DEMO_MAKER
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.flows.lifecycle import connection_name
from shared.domain.callers.agents import confirmation_name_for_copy
from shared.domain.definitions.connection_reference import parse_embedded_connections
from shared.domain.display_names import shorten_with_suffix
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from shared.use_cases.change_environment import ignore_issue
from tests.functional.wire.wire_scenario import SHORT, WireScenario, wire_scenario
from tests.functional.wire.wire_seed import tenant_seed
from tests.local_cloud.tenant.tenant_world import APP, MAKER, POLICY_ID

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set"),
]
_APIS = "/providers/Microsoft.PowerApps/apis/"
#: How exports of either kind name a connection (platform.md#flow-read, #client-data).
_CONNECTION_FIELDS = ("connection", "connectionName", "connectionReferenceLogicalName")


def environments() -> list[dict[str, Any]]:
    """Return the corpus as environments with a key; each flow is on and on Microsoft's key."""
    found = read_folders([Path(os.environ["FLOW_CORPUS"]) / "flows"], hold_all=True)
    text = json.dumps([environment.to_seed() for environment in found.environments])
    ours = json.loads(text.replace(DEMO_MAKER, MAKER).replace(derive_id("application"), APP))
    for environment in ours:
        bind(environment)
    return [environment | {"policy": POLICY_ID} for environment in ours]


def bind(environment: dict[str, Any]) -> None:
    """Add the connections that an export lacks and that a flow needs to be on."""
    for flow in environment["flows"]:
        references = flow["clientData"]["properties"]["connectionReferences"]
        for key, reference in references.items():
            if any(reference.get(field) for field in _CONNECTION_FIELDS):
                continue
            api = (reference.get("api") or {}).get("name") or reference.get("id") or key
            connector, name = api.rpartition("/")[2], f"unbound_{key}"
            reference["connection"] = {"connectionReferenceLogicalName": name}
            environment["connectionReferences"].append(
                {
                    "connectionreferencelogicalname": name,
                    "connectorid": _APIS + connector,
                    "connectionid": name,
                }
            )
            environment["connections"].append({"name": name, "api": connector, "owner": MAKER})
        refer_to_custom_connectors(environment, flow)


def refer_to_custom_connectors(environment: dict[str, Any], flow: dict[str, Any]) -> None:
    """Add the connection references that only a person can add."""
    for one in parse_embedded_connections(json.dumps(flow["clientData"])):
        if one.is_custom and one.connection_id:
            environment["connectionReferences"].append(
                {
                    "connectionreferencelogicalname": f"by_hand_{one.connection_id}",
                    "connectorid": one.connector_id,
                    "connectionid": one.connection_id,
                }
            )


def with_originals(text: str, originals: Mapping[str, str]) -> str:
    """Return a text with originals' ids in place of copies'."""
    for copied, original in originals.items():
        text = text.replace(copied, original)
    return text


def normal_form(
    environment: SimulatedEnvironment, flow: Flow, originals: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a definition says, whatever ids of copies and references it uses."""
    text = with_originals(flow.client_data, originals)
    properties: dict[str, Any] = json.loads(text)["properties"]
    for use in flow.facts().connections:
        reference = properties["connectionReferences"][use.key]
        for field in _CONNECTION_FIELDS:
            reference.pop(field, None)
        # Whoever runs the flow brings this one: what stood in the export was somebody's.
        reference["connection"] = None if use.is_invokers else connection_name(environment, use)
    return properties


def originals_of(jobs: Mapping[str, FlowJob]) -> dict[str, str]:
    """Return, by each copy's id and by the id in its URL, those of its original."""
    flows = {job.copy_id: job.original_id for job in jobs.values()}
    urls = {job.copy_url_id: job.original_url_id for job in jobs.values() if job.copy_url_id}
    return flows | urls


def check_end(
    environment: SimulatedEnvironment, job: FlowJob, originals: Mapping[str, str]
) -> None:
    """Check that a job came to its end, and that its copy says what its original says."""
    assert job.state is FlowJobState.RETIRED, (job.display_name, job.message)
    original, copy = (environment.workflows[one] for one in (job.original_id, job.copy_id))
    assert copy.state == SimulatedFlowState.STARTED
    assert original.state == SimulatedFlowState.STOPPED
    assert copy.display_name == shorten_with_suffix(job.display_name)
    says = normal_form(environment, copy, originals)
    assert says == normal_form(environment, original, originals), job.display_name


def check_originals(
    environment: SimulatedEnvironment, jobs: Mapping[str, FlowJob], seeded: Mapping[Flow, str]
) -> None:
    """Check that originals are byte for byte what they were, but for those that were not copied.

    These stay, and run the copies of their children.
    """
    copied = {job.original_id for job in jobs.values()}
    for flow in environment.order:
        if flow in seeded:
            stays = flow.workflow_entity_id not in copied
            ids = originals_of(jobs) if stays else {}
            assert with_originals(flow.client_data, ids) == seeded[flow]


async def check_environment(
    scenario: WireScenario, environment: SimulatedEnvironment
) -> list[PlanItem]:
    """Check each plan item against the end of its job, and return the items."""
    rows = await scenario.services.tables.environment_jobs.all(scenario.remediation.id)
    (row,) = [one for one in rows if one.environment_id == environment.id]
    assert row.state is EnvironmentJobState.COMPLETED
    items = await scenario.services.tables.plan_items.all(row.id)
    jobs = await scenario.jobs(environment.id)
    for item in items:
        if item.action is PlannedAction.NEEDS_CHANGES:
            assert item.fix
            assert item.workflow_id not in jobs
        else:
            assert item.action.is_work
            swaps = item.action is PlannedAction.CUT_OVER
            assert swaps is (jobs[item.workflow_id].migration_method is MigrationMethod.CUT_OVER)
            check_end(environment, jobs[item.workflow_id], originals_of(jobs))
    return items


async def say_that_agents_moved(
    scenario: WireScenario, environment: SimulatedEnvironment, seeded: Collection[Flow]
) -> None:
    """Give the word that originals are not retired without, which agents run."""
    for flow in environment.order:
        if flow in seeded and flow.facts().trigger_kind in {"Skills", "VirtualAgent"}:
            name = confirmation_name_for_copy(flow.workflow_entity_id)
            await ignore_issue(scenario.services, environment.id, name, "the makers")


@pytest.mark.parametrize("share", [slice(0, 1), slice(1, None)], ids=["first", "others"])
async def test_every_public_flow_comes_to_its_planned_end(
    share: slice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Each flow is retired with an equal copy, or needs changes and stays unchanged."""
    description = tenant_seed() | {"environments": environments()[share]}
    async with wire_scenario(monkeypatch, tmp_path, description) as scenario:
        seeded = {
            flow: flow.client_data
            for environment in scenario.platform.environments.values()
            for flow in environment.order
        }
        await scenario.order(run=SHORT)
        for environment in scenario.platform.environments.values():
            await say_that_agents_moved(scenario, environment, seeded)
        await scenario.run(timedelta(days=40))

        planned = [
            item
            for environment in scenario.platform.environments.values()
            for item in await check_environment(scenario, environment)
        ]
        assert len(planned) == len(seeded)
        for environment in scenario.platform.environments.values():
            check_originals(environment, await scenario.jobs(environment.id), seeded)
        assert {item.action for item in planned} > {PlannedAction.COPY, PlannedAction.CUT_OVER}
