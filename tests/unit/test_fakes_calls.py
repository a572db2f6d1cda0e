from dataclasses import replace

import pytest

from shared.domain.flow import FlowState, WorkflowUpdate
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.domain.trigger_urls.trigger_url import find_trigger_urls, parse_trigger_url
from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.fakes.flow_service import turn_off
from tests.fakes.ports import build_fakes
from tests.fakes.run_jobs import call_url, find_urls, run_flow
from tests.fakes.world import World


@pytest.fixture
def builder() -> Builder:
    return Builder(World())


def test_call_of_a_flow_that_is_on_starts_a_run(builder: Builder) -> None:
    flow = builder.add_http_flow("Orders")

    outcome = call_url(builder.world, builder.get_trigger_url(flow))

    assert (outcome.status, outcome.code) == (202, "")
    assert flow.runs == list(outcome.runs)
    assert flow.runs[0].trigger_url_id == flow.trigger_url_id


def test_call_of_a_flow_that_is_off_is_rejected_without_a_run(builder: Builder) -> None:
    flow = builder.add_http_flow("Orders")
    turn_off(builder.world, flow)

    outcome = call_url(builder.world, builder.get_trigger_url(flow))

    assert (outcome.status, outcome.code) == (400, "WorkflowTriggerIsNotEnabled")
    assert flow.runs == []


def test_a_signature_is_checked(builder: Builder) -> None:
    url = builder.get_trigger_url(builder.add_http_flow("Orders"))
    unsigned, _, _ = url.partition("&sp=")

    assert call_url(builder.world, url[:-1] + ("A" if url[-1] != "A" else "B")).status == 401
    assert call_url(builder.world, unsigned).code == "DirectApiAuthorizationRequired"


def test_a_url_of_the_tenant_kind_has_no_signature(builder: Builder) -> None:
    flow = builder.add_flow("Orders", define.build_http_trigger(authentication="Tenant"))

    url = builder.get_trigger_url(flow)

    assert "sig=" not in url
    assert call_url(builder.world, url).is_accepted


async def test_deleted_flow_rejects_the_call(builder: Builder) -> None:
    workflows = build_fakes(builder.world).ports.workflows
    flow, environment = builder.add_http_flow("Orders"), builder.environment.build_environment()
    url = builder.get_trigger_url(flow)

    await workflows.delete(environment, flow.workflow_id)

    assert call_url(builder.world, url).code == "WorkflowTriggerIsNotEnabled"


@pytest.mark.parametrize("form", ["environment", "capacity_unit", "logic_apps"])
def test_app_parses_every_format_of_url(builder: Builder, form: str) -> None:
    flow = builder.add_flow("Orders", define.build_http_trigger(relative_path="orders/{id}"))
    flow.url_form = form

    url = builder.get_trigger_url(flow).replace("%7Bid%7D", "42").replace("{id}", "42")

    parsed = parse_trigger_url(url)
    assert parsed is not None
    assert parsed.trigger_url_id == flow.trigger_url_id
    assert len(find_trigger_urls(f'{{"url": "{url}"}}')) == len(find_urls(f'"{url}"')) == 1
    assert call_url(builder.world, url).is_accepted


def test_a_parent_runs_its_children(builder: Builder) -> None:
    child, parent, _ = builder.add_family("Billing")

    call_url(builder.world, builder.get_trigger_url(parent))

    assert len(parent.runs) == len(child.runs) == 1
    assert child.runs[0].trigger_url_id is None


def test_a_parent_fails_when_its_child_is_off(builder: Builder) -> None:
    """The caller of the parent still gets a 202. Only the run of the parent shows the failure."""
    child, parent, _ = builder.add_family("Billing")
    turn_off(builder.world, child)

    outcome = call_url(builder.world, builder.get_trigger_url(parent))

    assert outcome.is_accepted
    assert outcome.has_failed


def test_run_of_a_flow_fails_if_its_call_is_rejected(builder: Builder) -> None:
    flow = builder.add_http_flow("Orders")
    caller = builder.add_flow_caller(flow)
    assert not run_flow(builder.world, caller).failed

    turn_off(builder.world, flow)

    assert "WorkflowTriggerIsNotEnabled" in run_flow(builder.world, caller).error


async def test_flow_uses_a_new_variable_value_only_after_it_is_saved(builder: Builder) -> None:
    """A flow keeps the old value of an environment variable until somebody saves it."""
    old, new = builder.add_http_flow("Old"), builder.add_http_flow("New")
    variable, reader = builder.add_variable_caller(old)
    ports, environment = build_fakes(builder.world).ports, builder.environment.build_environment()

    [shown] = await ports.environment_variables.list(environment)
    assert shown.value_id == variable.value_id
    await ports.environment_variables.write_value(
        environment, str(shown.value_id), builder.get_trigger_url(new), etag=shown.value_etag
    )
    run_flow(builder.world, reader)
    change = WorkflowUpdate(client_data=reader.client_data)
    await ports.workflows.update(environment, reader.workflow_id, change, etag="*")
    run_flow(builder.world, reader)

    assert (len(old.runs), len(new.runs)) == (1, 1)


def test_flow_on_your_key_calls_from_other_addresses(builder: Builder) -> None:
    """A firewall that allows only the old addresses denies such a flow."""
    world = builder.world
    world.service_tags = {
        "logicapps.westeurope": ["13.69.64.0/24"],
        "powerplatformplex.westeurope": ["20.61.88.128/26"],
    }
    rule = FirewallRule(name="flows", action=RuleAction.ALLOW, sources=("LogicApps.WestEurope",))
    firewall = Firewall(
        kind="network_security_group",
        id="/nsg",
        name="nsg-erp",
        hosts=frozenset({"erp.contoso.com"}),
        rules=(rule,),
        default=RuleAction.DENY,
    )
    world.firewalls = [firewall]
    flow = builder.add_http_flow(
        "Orders", {"Post": define.build_http_action("https://erp.contoso.com/in")}
    )
    assert not run_flow(world, flow).failed

    flow.is_protected = True
    assert "actively refused it" in run_flow(world, flow).error

    opened = replace(rule, sources=("LogicApps.WestEurope", "20.61.88.0/24"))
    world.firewalls = [replace(firewall, rules=(opened,))]
    assert not run_flow(world, flow).failed


async def test_run_in_progress_has_no_end_time(builder: Builder) -> None:
    flow = builder.add_http_flow("Orders")
    reports = build_fakes(builder.world).ports.flow_reports
    began = builder.world.clock.now()
    call_url(builder.world, builder.get_trigger_url(flow))

    [going] = await reports.read_runs(flow.environment_id, flow.flow_name, since=began)
    builder.world.clock.advance(flow.run_duration)
    [ended] = await reports.read_runs(flow.environment_id, flow.flow_name, since=began)

    assert (going.is_running, going.status) == (True, "Running")
    assert (ended.is_running, ended.status) == (False, "Succeeded")
    assert flow.state is FlowState.ON
