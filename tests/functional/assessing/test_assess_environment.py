from dataclasses import replace

import pytest

from shared.domain.assessment.assessment import AssessmentTopic
from shared.domain.finding import FindingLevel
from shared.domain.keys.key import EnterprisePolicy
from shared.domain.power_apps import CanvasApp
from shared.errors import NotFound
from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.fakes.sound_key import KEY, VAULT_URL, put_sound_key
from tests.functional.assessing.assessed_tenant import Assessed


@pytest.fixture
def tenant() -> Assessed:
    return Assessed()


async def test_level_of_a_connection_depends_on_its_sign_in(tenant: Assessed) -> None:
    for connector in ("shared_teams", "shared_sql", "shared_strange"):
        tenant.build.add_connection(connector, connector, owner=tenant.build.owner)

    await tenant.assess()

    levels = {one.subject: one.level for one in tenant.list_findings(AssessmentTopic.CONNECTIONS)}
    assert levels == {
        "": FindingLevel.OK,
        "shared_sql": FindingLevel.WARNING,
        "shared_strange": FindingLevel.UNKNOWN,
    }


async def test_empty_list_of_connections_is_unknown(tenant: Assessed) -> None:
    """The platform may return an empty list to an application."""
    await tenant.assess()

    assert (
        tenant.require_finding(AssessmentTopic.CONNECTIONS, "connections").level
        is FindingLevel.UNKNOWN
    )


async def test_canvas_app_that_calls_a_flow_is_a_manual_caller(
    tenant: Assessed,
) -> None:
    form = tenant.build.add_power_apps_v1_flow("Old form")
    tenant.build.environment.canvas_apps += [
        _build_app("Requests", form.workflow_id),
        _build_app("Riddle", tenant.world.create_guid()),
    ]

    await tenant.assess()

    caller = tenant.flows["Old form"].callers[0]
    assert (caller.kind, bool(caller.manual_reason)) == ("canvas_app", True)
    found = {
        one.subject: one.level
        for one in tenant.list_findings(AssessmentTopic.CANVAS_APPS, "canvas_apps")
    }
    assert found == {"app-Requests": FindingLevel.PROBLEM, "app-Riddle": FindingLevel.UNKNOWN}


def _build_app(name: str, flow_id: str) -> CanvasApp:
    return CanvasApp(
        name=f"app-{name}", display_name=name, owner="maker", flow_ids=frozenset({flow_id})
    )


async def test_solution_setting_machine_group_and_skill_are_reported(tenant: Assessed) -> None:
    environment = tenant.build.environment
    environment.creates_flows_in_solutions = False
    environment.hosted_machine_groups = ["Night shift"]
    skill = tenant.build.add_flow("Skill", define.build_request_trigger("Skills"))
    skill.client_data = skill.client_data.replace(
        '"connectionReferences": {}',
        '"connectionReferences": {"a": {"runtimeSource": "invoker", "api": {"name": "shared_a"}}}',
    )
    assert "invoker" in skill.client_data

    await tenant.assess()

    setting = tenant.require_finding(AssessmentTopic.SOLUTIONS, "auto_solution")
    assert "cmkflow environment solution-setting" in setting.fix
    (group,) = tenant.list_findings(AssessmentTopic.HOSTED_MACHINES)
    assert "Night shift" in group.message
    assert "Reprovision" in group.fix
    assert "cannot use a customer-managed key" in group.fix
    assert "Skill" in tenant.require_finding(AssessmentTopic.COPILOT, "copilot_skills").message


async def test_finding_names_each_feature_without_data_under_the_key(tenant: Assessed) -> None:
    await tenant.assess()

    [finding] = tenant.list_findings(AssessmentTopic.ANALYTICS)
    features = (
        "tenant-wide reporting",
        "data export to Data Lake",
        "run history of the automation center",
        "mobile app and its notifications",
        "activity page",
        "failure e-mails",
        "failure digest e-mails",
    )
    assert [one for one in features if one not in finding.message] == []


async def test_power_apps_flow_outside_solutions_is_reported(tenant: Assessed) -> None:
    tenant.build.add_power_apps_v1_flow("Old form")
    tenant.build.add_power_apps_v1_flow("Settled form").in_solution = True

    await tenant.assess()

    told = " ".join(one.message for one in tenant.list_findings(AssessmentTopic.SOLUTIONS))
    assert "Old form" in told
    assert "Settled form" not in told


async def test_eligibility_checks_the_named_policy_and_the_number_of_environments(
    tenant: Assessed,
) -> None:
    world = tenant.world
    world.policies["p"] = EnterprisePolicy(
        id="p",
        name="cmk-us",
        location="unitedstates",
        system_id="s",
        encryption_state="Enabled",
        vault_id="v",
        key_name="k",
        key_version=None,
        health="Healthy",
        principal_id=None,
    )
    for number in range(19):
        Builder(world, name=f"Other {number}").apply_key()
    tenant.build.environment.sku = "Trial"
    tenant.build.environment.is_managed = False

    await tenant.assess(policy="CMK-US")

    levels = {one.code: one.level for one in tenant.list_findings(AssessmentTopic.ELIGIBILITY)}
    assert levels == {
        "environment_managed": FindingLevel.PROBLEM,
        "environment_type": FindingLevel.PROBLEM,
        "environment_geography": FindingLevel.PROBLEM,
        "environment_limit": FindingLevel.WARNING,
        "policy_link": FindingLevel.OK,
    }
    with pytest.raises(NotFound):
        await tenant.assess(policy="strange")


async def test_external_host_is_reported_with_its_flows_and_the_required_tag(
    tenant: Assessed,
) -> None:
    tenant.world.service_tags = {"PowerPlatformPlex.WestEurope": ["20.61.88.128/26"]}
    for name in ("Orders", "Invoices"):
        tenant.build.add_http_flow(
            name, {"a": define.build_http_action("https://partner.example/x")}
        )

    await tenant.assess()

    found = {one.subject: one for one in tenant.list_findings(AssessmentTopic.NETWORK, "firewall")}
    finding = found["external_target:partner.example"]
    assert finding.level is FindingLevel.WARNING
    assert "partner.example, which Invoices, Orders call." in finding.message
    assert "PowerPlatformPlex.WestEurope" in finding.fix


async def test_key_of_a_named_policy_is_checked_before_it_is_applied(tenant: Assessed) -> None:
    put_sound_key(tenant.world, "/policies/cmk-eu", "system")
    versions = tenant.world.keys[VAULT_URL, KEY]
    versions[0] = replace(versions[0], is_enabled=False)

    await tenant.assess()
    unnamed = tenant.list_findings(AssessmentTopic.KEY)
    await tenant.assess(policy="cmk-eu")

    assert [(one.code, one.level) for one in unnamed] == [("key_checked", FindingLevel.UNKNOWN)]
    levels = {one.code: one.level for one in tenant.list_findings(AssessmentTopic.KEY)}
    assert levels.pop("key_enabled") is FindingLevel.PROBLEM
    assert levels["key_grants"] is FindingLevel.OK
    assert set(levels.values()) == {FindingLevel.OK}
