"""Test migrations of the public flows of a corpus, over TLS."""

import json
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from local_cloud.demo.definitions import derive_id
from local_cloud.demo.flow_folder import read_folders
from local_cloud.demo.tenant import MAKER as DEMO_MAKER
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.flows.lifecycle import find_connection_name
from shared.domain.definitions.connection_reference import parse_embedded_connections
from shared.domain.display_names import shorten_with_suffix
from shared.domain.jobs.environment_states import EnvironmentJobState
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.plans.plan_item import PlanItem, PlannedAction
from tests.functional.wire.wire_scenario import SHORT, WireScenario, serve_wire_scenario
from tests.functional.wire.wire_seed import build_tenant_seed
from tests.local_cloud.tenant.tenant_world import APP, MAKER, POLICY_ID

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif("FLOW_CORPUS" not in os.environ, reason="FLOW_CORPUS is not set"),
]
_APIS = "/providers/Microsoft.PowerApps/apis/"
#: How exports of either kind name a connection (platform.md#flow-read, #client-data).
_CONNECTION_FIELDS = ("connection", "connectionName", "connectionReferenceLogicalName")


def build_environments() -> list[dict[str, Any]]:
    """Return the flows of the corpus as seeds of environments with a key."""
    found = read_folders([Path(os.environ["FLOW_CORPUS"]) / "flows"], hold_all=True)
    text = json.dumps([environment.to_seed() for environment in found.environments])
    ours = json.loads(text.replace(DEMO_MAKER, MAKER).replace(derive_id("application"), APP))
    for environment in ours:
        add_connections(environment)
    return [environment | {"policy": POLICY_ID} for environment in ours]


def add_connections(environment: dict[str, Any]) -> None:
    """Add the connections that an exported flow lacks, without which it could not be on."""
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
        add_custom_connection_references(environment, flow)


def add_custom_connection_references(environment: dict[str, Any], flow: dict[str, Any]) -> None:
    """Add the connection references for custom connectors, which the app cannot create."""
    for one in parse_embedded_connections(json.dumps(flow["clientData"])):
        if one.is_custom and one.connection_id:
            environment["connectionReferences"].append(
                {
                    "connectionreferencelogicalname": f"by_hand_{one.connection_id}",
                    "connectorid": one.connector_id,
                    "connectionid": one.connection_id,
                }
            )


def replace_copy_ids(text: str, originals: Mapping[str, str]) -> str:
    """Return a text in which each copy's id is replaced by its original's."""
    for copied, original in originals.items():
        text = text.replace(copied, original)
    return text


def normalise_definition(
    environment: SimulatedEnvironment, flow: Flow, originals: Mapping[str, str]
) -> dict[str, Any]:
    """Return the properties of a flow, in which ids of copies and connections are comparable."""
    text = replace_copy_ids(flow.client_data, originals)
    properties: dict[str, Any] = json.loads(text)["properties"]
    for use in flow.get_facts().connections:
        reference = properties["connectionReferences"][use.key]
        for field in _CONNECTION_FIELDS:
            reference.pop(field, None)
        # The person who runs the flow provides this connection; the export names an earlier one.
        reference["connection"] = (
            None if use.is_invokers else find_connection_name(environment, use)
        )
    return properties


def map_copies_to_originals(jobs: Mapping[str, FlowJob]) -> dict[str, str]:
    """Return originals by copies, both as flow ids and as trigger URL ids."""
    flows = {job.copy.id: job.original.id for job in jobs.values()}
    urls = {job.copy.url_id: job.original.url_id for job in jobs.values() if job.copy.url_id}
    return flows | urls


def assert_job_is_retired(
    environment: SimulatedEnvironment, job: FlowJob, originals: Mapping[str, str]
) -> None:
    assert job.state is FlowJobState.RETIRED, (job.display_name, job.message)
    original, copy = (environment.workflows[one] for one in (job.original.id, job.copy.id))
    assert copy.state == SimulatedFlowState.STARTED
    assert original.state == SimulatedFlowState.STOPPED
    assert copy.display_name == shorten_with_suffix(job.display_name)
    says = normalise_definition(environment, copy, originals)
    assert says == normalise_definition(environment, original, originals), job.display_name


def assert_originals_are_unchanged(
    environment: SimulatedEnvironment, jobs: Mapping[str, FlowJob], seeded: Mapping[Flow, str]
) -> None:
    """Require that each original is unchanged.

    A flow that was not copied may call copies of its children.
    """
    copied = {job.original.id for job in jobs.values()}
    for flow in environment.order:
        if flow in seeded:
            stays = flow.workflow_entity_id not in copied
            ids = map_copies_to_originals(jobs) if stays else {}
            assert replace_copy_ids(flow.client_data, ids) == seeded[flow]


async def assert_plan_came_true(
    scenario: WireScenario, environment: SimulatedEnvironment
) -> list[PlanItem]:
    """Require that each flow ended as its plan item says. Return the plan items."""
    rows = await scenario.services.tables.environment_jobs.read_all(scenario.remediation.id)
    (row,) = [one for one in rows if one.environment_id == environment.id]
    assert row.state is EnvironmentJobState.COMPLETED
    items = await scenario.services.tables.plan_items.read_all(row.id)
    jobs = await scenario.read_jobs(environment.id)
    for item in items:
        if item.action is PlannedAction.NEEDS_CHANGES:
            assert item.fix
            assert item.workflow_id not in jobs
        else:
            assert item.action.is_work
            swaps = item.action is PlannedAction.CUT_OVER
            assert swaps is (jobs[item.workflow_id].migration_method is MigrationMethod.CUT_OVER)
            assert_job_is_retired(
                environment, jobs[item.workflow_id], map_copies_to_originals(jobs)
            )
    return items


@pytest.mark.parametrize("share", [slice(0, 1), slice(1, None)], ids=["first", "others"])
async def test_every_public_flow_reaches_the_end_that_its_plan_names(
    share: slice, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    description = build_tenant_seed() | {"environments": build_environments()[share]}
    async with serve_wire_scenario(monkeypatch, tmp_path, description) as scenario:
        seeded = {
            flow: flow.client_data
            for environment in scenario.platform.environments.values()
            for flow in environment.order
        }
        await scenario.order(run=SHORT)
        await scenario.run(timedelta(days=40))

        planned = [
            item
            for environment in scenario.platform.environments.values()
            for item in await assert_plan_came_true(scenario, environment)
        ]
        assert len(planned) == len(seeded)
        for environment in scenario.platform.environments.values():
            assert_originals_are_unchanged(
                environment, await scenario.read_jobs(environment.id), seeded
            )
        assert {item.action for item in planned} > {PlannedAction.COPY, PlannedAction.CUT_OVER}
