from dataclasses import replace

import pytest

from local_cloud.tenant.azure.locks import build_lock
from local_cloud.tenant.azure.policy_assignments import build_assignment
from local_cloud.tenant.azure.reachability import FlowOrigin, find_denial
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.seed.azure import seed_azure
from shared.adapters.azure.resource_manager import ResourceManager
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.caller_edit import replace_references, revert_edits
from shared.domain.network.firewall import Firewall
from shared.domain.platform_errors import parse_locked_scope, parse_policy_assignments
from shared.domain.trigger_urls.signatures import find_signatures
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import PlatformError
from shared.firewalls import build_firewall_kinds
from tests.contract.adapter_world import SITE_ID, VAULT_URL, Adapters
from tests.fakes.services import build_kinds
from tests.kinds.case import HOST
from tests.kinds.cases import (
    CALLER_KINDS,
    FIREWALL_KINDS,
    MOVED_KINDS,
    load_caller_case,
    load_firewall_case,
)
from tests.local_cloud.tenant.tenant_world import GROUP, HTTP_FLOW, PARENT_FLOW
from tests.unit.uncovered import find_required_issues

COPY_ID = "c" * 32
EMPTY_SUBSCRIPTION = "99999999-2222-3333-4444-555555555555"
COPY_FLOW = "c0000000-0000-4000-8000-00000000000c"


async def add_and_find_callers(app: Adapters) -> tuple[str, list[Caller]]:
    url = (await app.secrets.read(VAULT_URL, "orders-url")).value
    for kind in CALLER_KINDS:
        await load_caller_case(kind).add_on_the_wire(app, url)
    url_id = find_trigger_urls(url)[0].url.trigger_url_id
    environments = await app.environments.list()
    found = [
        caller
        for kind in build_kinds(app).values()
        async for caller in kind.find(environments)
        if url_id in caller.trigger_url_ids or HTTP_FLOW in caller.child_flow_ids
    ]
    return url, found


async def test_every_kind_finds_its_caller_on_the_wire(app: Adapters) -> None:
    _, found = await add_and_find_callers(app)

    assert sorted(caller.kind for caller in found) == sorted(CALLER_KINDS)
    assert [caller.workflow_id for caller in found if caller.kind == "flow"] == [PARENT_FLOW]
    assert {caller.kind for caller in found if not caller.manual_reason} == set(MOVED_KINDS)


async def test_every_caller_is_updated_and_reverted_byte_for_byte(app: Adapters) -> None:
    url, found = await add_and_find_callers(app)
    old_id = find_trigger_urls(url)[0].url.trigger_url_id
    urls = {old_id: url.replace(old_id, COPY_ID)}

    for caller in (one for one in found if not one.manual_reason):
        kind = build_kinds(app)[caller.kind]
        before = await kind.read(caller)
        done = replace_references(
            before.text, is_json=kind.is_json, urls=urls, flow_ids={HTTP_FLOW: COPY_FLOW}
        )

        await kind.write(caller, CallerContent(text=done.text, etag=before.etag))
        moved = await kind.read(caller)
        back = revert_edits(moved.text, done.edits, find_signatures(before.text))
        await kind.write(caller, CallerContent(text=back, etag=moved.etag))

        assert moved.text == done.text != before.text
        assert (await kind.read(caller)).text == before.text
    assert (await app.app_settings.read(SITE_ID))["COLOUR"] == "blue"
    assert (await app.secrets.read(VAULT_URL, "orders-url")).tags == {"team": "orders"}


@pytest.mark.parametrize("code", ["ScopeLocked", "RequestDisallowedByPolicy"])
async def test_denied_write_of_each_kind_names_the_cause(app: Adapters, code: str) -> None:
    """A policy does not apply to files that the host of an app writes."""
    _, found = await add_and_find_callers(app)
    azure, kinds = app.world.tenant.get_part(Azure), build_kinds(app)
    writers = {
        name
        for name, kind in kinds.items()
        if code == "ScopeLocked"
        or any(action.endswith("/write") for action in kind.required_permissions.actions)
    }
    callers = [
        one
        for one in found
        if one.address.startswith("/subscriptions/") and not one.manual_reason
        if one.kind in writers
    ]
    before = {one.address: await kinds[one.kind].read(one) for one in callers}
    lock = build_lock(GROUP, "frozen", "ReadOnly")
    policy = build_assignment(GROUP, "no-writes", {"field": "type", "exists": True})
    azure.locks += [lock] if code == "ScopeLocked" else []
    azure.policy_assignments += [] if code == "ScopeLocked" else [policy]

    for caller in callers:
        text = before[caller.address].text.replace("/workflows/", "/workflows//")
        assert text != before[caller.address].text
        with pytest.raises(PlatformError) as caught:
            await kinds[caller.kind].write(caller, replace(before[caller.address], text=text))
        assert caught.value.code == code
        scope = parse_locked_scope(caught.value.detail)
        named = [scope] if scope else parse_policy_assignments(caught.value.detail)
        assert named == [GROUP if code == "ScopeLocked" else policy["id"]]
    azure.locks.clear()
    azure.policy_assignments.clear()

    assert len({one.kind for one in callers}) > 5
    assert {one.address: await kinds[one.kind].read(one) for one in callers} == before


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_firewall_issue_ends_with_a_rule_for_the_new_ranges(app: Adapters, kind: str) -> None:
    case = load_firewall_case(kind)
    tags = await app.service_tags.get_list()

    async def read(*names: str) -> list[Firewall]:
        seed_azure(app.world.tenant, case.seed(case.build_sources(names, tags)))
        found = await build_firewall_kinds(app.resources)[kind].read()
        return [firewall for firewall in found if firewall.name == case.name]

    before = await read("LogicApps")
    after = await read("LogicApps", "PowerPlatformPlex")

    [gap] = find_required_issues(before, "europe", [HOST], tags)
    assert gap.is_certain
    assert gap.missing_tags == ("PowerPlatformPlex.NorthEurope", "PowerPlatformPlex.WestEurope")
    assert find_required_issues(after, "europe", [HOST], tags) == []


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_tenant_denies_the_callers_that_the_app_predicts(app: Adapters, kind: str) -> None:
    """The local tenant evaluates the firewall's rules with separate code."""
    case, copy = load_firewall_case(kind), FlowOrigin(region="westeurope", is_protected=True)
    tags, azure = await app.service_tags.get_list(), app.world.tenant.get_part(Azure)

    refusals = []
    for names in (["LogicApps"], ["LogicApps", "PowerPlatformPlex"]):
        seed_azure(app.world.tenant, case.seed(case.build_sources(names, tags)))
        refusals.append(find_denial(azure, HOST, copy))

    before, after = refusals
    assert before is not None
    assert before.resource_id.rpartition("/")[2] in case.name
    assert after is None


@pytest.mark.parametrize("kind", FIREWALL_KINDS)
async def test_subscription_without_a_provider_has_no_firewall_of_its_kind(
    app: Adapters, kind: str
) -> None:
    """Azure rejects a list of resources whose provider is not registered."""
    seed_azure(app.world.tenant, {"subscriptions": [{"subscriptionId": EMPTY_SUBSCRIPTION}]})
    assert isinstance(app.resource_writer, ResourceManager)  # `resources` reads through it
    app.resource_writer.subscriptions = (EMPTY_SUBSCRIPTION,)

    assert await build_firewall_kinds(app.resources)[kind].read() == []
