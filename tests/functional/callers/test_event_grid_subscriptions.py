from dataclasses import replace
from typing import Any

import pytest

from shared.domain.jobs.flow_states import FlowJobState
from shared.errors import Conflict, JobBlocked, PlatformError, TransientError
from shared.settings import OnOriginalEdited
from tests.fakes import definition_builder as define
from tests.fakes.services import build_fake_settings, build_kinds
from tests.functional.callers.called_tenant import Tenant
from tests.functional.scenarios.remediation_scenario import Scenario, edit
from tests.functional.scenarios.traffic_scenario import assert_nothing_lost, plan_remediation

KIND = "event_grid_subscription"


def read_properties(tenant: Tenant, topic: str, number: int = 0) -> dict[str, Any]:
    path = f"{topic}/eventSubscriptions/flow{number}".lower()
    properties = tenant.world.resources[path]["properties"]
    assert isinstance(properties, dict)
    return properties


async def test_write_changes_only_the_url(tenant: Tenant) -> None:
    """A PATCH replaces the whole destination."""
    topic = tenant.builder.add_event_grid_caller(tenant.original)
    before = read_properties(tenant, topic)

    [caller] = await tenant.list_found_callers(KIND)
    await tenant.update_caller(caller)

    webhook = {"endpointUrl": tenant.builder.get_trigger_url(tenant.copy), "maxEventsPerBatch": 1}
    assert caller.label == "event subscription flow0"
    assert read_properties(tenant, topic) == {
        **before,
        "destination": {"endpointType": "WebHook", "properties": webhook},
    }
    assert tenant.count_runs_after_a_beat() == (0, 1)


@pytest.mark.parametrize(
    "parent",
    [
        "",
        "Microsoft.EventGrid/domains/d/",
        "Microsoft.EventGrid/domains/d/topics/t/",
        "Microsoft.EventGrid/partnerTopics/p/",
        "Microsoft.EventGrid/systemTopics/s/",
    ],
)
async def test_subscription_below_any_topic_is_found(tenant: Tenant, parent: str) -> None:
    """The event subscriptions of a resource group or Azure subscription have no topic resource."""
    topic = tenant.builder.add_event_grid_caller(tenant.original)
    resources = tenant.world.resources
    [subscription] = [
        resources.pop(path) for path in [*resources] if "/eventsubscriptions/" in path
    ]
    del resources[topic.lower()]
    start = topic.partition("/Microsoft.EventGrid")[0]
    names = parent.rstrip("/").split("/")
    for end in range(3, len(names) + 1, 2):
        path = f"{start}/{'/'.join(names[:end])}"
        kind = "/".join((names[0], *names[1:end:2]))
        resources[path.lower()] = {"id": path, "name": names[end - 1], "type": kind}
    parent = parent or "Microsoft.EventGrid/"
    path = f"{start}/{parent}eventSubscriptions/flow"
    kind = "/".join((names[0] or "Microsoft.EventGrid", *names[1::2], "eventSubscriptions"))
    resources[path.lower()] = {**subscription, "id": path, "type": kind}

    [caller] = await tenant.list_found_callers(KIND)

    assert caller.address == path


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"eventDeliverySchema": "CloudEventSchemaV1_0"}, "OPTIONS"),  # avoid-ok: API name
        ({"secret": True}, "secret header"),
        ({"identity": True}, "managed identity"),
    ],
    ids=["CloudEvents", "secret header", "identity"],
)
async def test_subscription_that_the_app_cannot_change_is_a_manual_caller(
    tenant: Tenant, change: dict[str, Any], reason: str
) -> None:
    topic = tenant.builder.add_event_grid_caller(tenant.original)
    properties = read_properties(tenant, topic)
    if "secret" in change:
        header = {"name": "key", "type": "Static", "properties": {"isSecret": True}}
        webhook = properties["destination"]["properties"]
        webhook["deliveryAttributeMappings"] = [header]  # avoid-ok: API name
    elif "identity" in change:
        identity = {"identity": {"type": "SystemAssigned"}}
        identity |= {"destination": properties.pop("destination")}
        properties["deliveryWithResourceIdentity"] = identity  # avoid-ok: API name
    else:
        properties |= change

    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    with pytest.raises(JobBlocked) as raised:
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))

    assert reason in caller.manual_reason
    assert reason in raised.value.fix
    assert await tenant.read(caller) == content


async def test_url_that_is_not_returned_is_named(tenant: Tenant) -> None:
    class Denied:
        async def read(self, resource_id: str, action: str, api_version: str) -> Any:
            raise PlatformError("no", code="AuthorizationFailed", status=403)

    tenant.builder.add_event_grid_caller(tenant.original)
    kind = build_kinds(replace(tenant.ports, resource_secrets=Denied()))[KIND]

    with pytest.raises(JobBlocked, match="URL of the event subscription flow0"):
        await anext(kind.find([]))


async def test_subscription_that_was_changed_since_the_read_is_a_conflict(tenant: Tenant) -> None:
    """A PATCH replaces the whole destination."""
    topic = tenant.builder.add_event_grid_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    content = await tenant.read(caller)
    read_properties(tenant, topic)["destination"]["properties"]["maxEventsPerBatch"] = 5

    with pytest.raises(Conflict, match="was changed"):
        await tenant.kinds[KIND].write(caller, replace(content, text="{}"))


@pytest.mark.parametrize(
    ("state", "error", "text"),
    [
        ("Creating", TransientError, "applying a change"),
        ("Updating", TransientError, "applying a change"),
        ("AwaitingManualAction", JobBlocked, "awaits the validation"),
    ],
)
async def test_write_is_complete_when_azure_has_applied_it(
    tenant: Tenant, state: str, error: type[Exception], text: str
) -> None:
    topic = tenant.builder.add_event_grid_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    old = await tenant.read(caller)
    original, copy = map(tenant.builder.get_trigger_url, (tenant.original, tenant.copy))
    new = replace(old, text=old.text.replace(original, copy))

    def apply(_: object) -> list[str]:
        read_properties(tenant, topic)["provisioningState"] = state
        return []

    tenant.world.watchers.append(apply)
    for _ in range(2):
        with pytest.raises(error, match=text):
            await tenant.kinds[KIND].write(caller, new)
    tenant.world.watchers.clear()
    read_properties(tenant, topic)["provisioningState"] = "Succeeded"
    await tenant.kinds[KIND].write(caller, new)

    assert (await tenant.read(caller)).text == new.text
    assert len(tenant.world.writes) == 1


async def test_change_that_failed_is_made_again(tenant: Tenant) -> None:
    """An event subscription in the state Failed may not use the URL that it shows."""
    topic = tenant.builder.add_event_grid_caller(tenant.original)
    [caller] = await tenant.list_found_callers(KIND)
    read_properties(tenant, topic)["provisioningState"] = "Failed"

    await tenant.kinds[KIND].write(caller, await tenant.read(caller))

    assert len(tenant.world.writes) == 1


async def test_flow_that_does_not_answer_is_blocked_before_the_move() -> None:
    settings = build_fake_settings().model_copy(
        update={"on_original_edited": OnOriginalEdited.COPY_AGAIN}
    )
    scenario = Scenario(settings=settings)
    flow = scenario.build.add_http_flow("Orders")
    text = flow.client_data
    topic = scenario.build.add_event_grid_caller(flow)
    flow.client_data = text
    await plan_remediation(scenario)
    [caller] = (await scenario.plan())["Orders"].callers
    before = dict(scenario.world.resources)

    await scenario.approve()
    blocked = await scenario.read_job("Orders")
    unchanged = dict(scenario.world.resources) == before
    edit(flow, define.build_validation_action())
    await scenario.retry()
    job = await scenario.read_job("Orders")
    moved = scenario.world.resources[f"{topic}/eventSubscriptions/flow0".lower()]

    assert "validationResponse" in caller.manual_reason
    assert (blocked.state, blocked.reason_code) == (FlowJobState.BLOCKED, "manual_caller")
    assert "validationResponse" in blocked.fix
    assert unchanged
    assert job.state is not FlowJobState.BLOCKED, (job.message, job.fix)
    assert moved != before[f"{topic}/eventSubscriptions/flow0".lower()]
    assert_nothing_lost(scenario)
