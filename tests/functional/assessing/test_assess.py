import json
from dataclasses import replace
from typing import Any

import pytest

from functions.assessments_api import show_assessment
from shared.bootstrap import provide
from shared.domain.assessment.assessment import AssessmentPhase, AssessmentTopic
from shared.domain.callers.url_secret import build_reference_to_address
from shared.domain.finding import FindingLevel
from shared.errors import NotFound, ThrottledError
from tests.fakes.app_configuration import REFERENCE_TYPE
from tests.fakes.services import build_fake_services, build_fake_settings
from tests.functional.assessing.assessed_tenant import Assessed
from tests.functional.scenarios.app_calls import call


@pytest.fixture
def tenant() -> Assessed:
    return Assessed()


async def test_assessment_before_a_key_recommends_a_change_for_each_reason(
    tenant: Assessed,
) -> None:
    tenant.build.add_http_flow("Orders")
    tenant.build.add_teams_flow("Alerts")
    tenant.build.add_power_apps_v1_flow("Old form")
    tenant.build.add_admin_list_flow("Inventory")
    tenant.build.add_polling_flow("Messages")

    await tenant.assess()

    assert tenant.found.phase is AssessmentPhase.BEFORE_KEY
    assert tenant.found.flow_count == 5
    assert {name: flow.microsoft_key_reasons for name, flow in tenant.flows.items()} == {
        "Orders": ("http_trigger",),
        "Alerts": ("teams_trigger",),
        "Old form": ("power_apps_v1_outside_solution",),
        "Inventory": ("list_flows_as_admin_v1",),
    }
    assert tenant.flows["Old form"].recommendations[0].startswith("Recommended: change its trigger")
    assert "V2 before the key" in tenant.flows["Inventory"].recommendations[0]
    assert tenant.flows["Orders"].owner == tenant.build.owner.name
    assert (
        tenant.require_finding(AssessmentTopic.FLOWS, "report_reconciled").level is FindingLevel.OK
    )
    assert tenant.world.writes == []


async def test_parents_list_all_flows_that_keep_them_on_microsofts_key(tenant: Assessed) -> None:
    child = tenant.build.add_http_flow("Child")
    parent = tenant.build.add_parent("Parent", child)
    tenant.build.add_parent("Grandparent", parent)

    await tenant.assess()

    assert tenant.flows["Grandparent"].blocked_by_flows == ("Parent", "Child")
    assert tenant.flows["Parent"].blocked_by_flows == ("Child",)
    assert set(tenant.flows["Child"].blocks_flows) == {"Parent", "Grandparent"}
    assert [one.label for one in tenant.flows["Child"].callers] == ["flow Parent"]


async def test_callers_by_url_are_found_if_a_run_shows_the_url(tenant: Assessed) -> None:
    """The search knows a trigger URL only from a flow run."""
    orders = tenant.build.add_http_flow("Orders")
    tenant.build.add_http_flow("Silent")
    tenant.build.add_app_setting_caller(orders)
    tenant.build.add_secret_caller(orders)
    tenant.world.traffic.beat(tenant.world)

    await tenant.assess()

    kinds = {one.kind for one in tenant.flows["Orders"].callers}
    assert kinds == {"app_setting", "key_vault_secret"}
    assert tenant.flows["Orders"].callers_unknown_reason == ""
    assert "unknown" in tenant.flows["Silent"].callers_unknown_reason


async def test_assessment_counts_callers_that_hold_the_url(tenant: Assessed) -> None:
    flow = tenant.build.add_http_flow("Orders")
    tenant.build.add_app_setting_caller(flow)
    tenant.build.add_secret_caller(flow)
    secret = tenant.build.add_secret_caller(flow, name=f"trigger-url-{flow.workflow_id}")
    tenant.world.traffic.beat(tenant.world)
    place = secret.vault_url, secret.name
    secret.vault_url = secret.vault_url.rstrip("/")
    tenant.world.secrets[secret.vault_url, secret.name] = tenant.world.secrets.pop(place)
    site = tenant.build.add_app_setting_caller(flow, site="referring")
    site.settings["FLOW_URL"] = build_reference_to_address(f"{secret.vault_url}|{secret.name}")
    for name in ("held", "referring"):
        tenant.build.add_key_value_caller(flow, key=name)
        tenant.build.add_named_value_caller(flow, name=name)
    uri = f"{secret.vault_url}/secrets/{secret.name}"
    key = ("https://contoso.azconfig.io", "referring", "production")
    tenant.world.key_values[key] = replace(
        tenant.world.key_values[key],
        value=json.dumps({"uri": uri}),
        content_type=REFERENCE_TYPE,
    )
    [path] = [one for one in tenant.world.resources if one.endswith("/namedvalues/referring")]
    tenant.world.resources[path] = {
        **tenant.world.resources[path],
        "properties": {"secret": True, "keyVault": {"secretIdentifier": uri}},
    }
    settings = build_fake_settings(trigger_url_vault=secret.vault_url)

    await tenant.assess(build_fake_services(tenant.fakes.ports, settings=settings))

    found = tenant.flows["Orders"].callers
    callers = {" ".join(one.label.split()[:3]): one.holds_url for one in found}
    assert callers == {
        "setting FLOW_URL of": True,
        "secret flow-url in": True,
        f"secret {secret.name} in": False,
        "key held (label": True,
        "named value held": True,
    }
    assert tenant.found.estimate.url_holder_count == 4


async def test_callers_with_a_retired_url_are_reported(tenant: Assessed) -> None:
    orders = tenant.build.add_http_flow("Orders")
    site = tenant.build.add_app_setting_caller(orders)
    tenant.world.traffic.beat(tenant.world)
    url = site.settings["FLOW_URL"]
    old = "https://prod-07.westeurope.logic.azure.com:443/workflows/"
    site.settings["OLD_URL"] = old + url.partition("/workflows/")[2]
    site.settings["LOGIC_APP"] = f"{old}{'a' * 32}/triggers/manual/paths/invoke?sig=x"
    caller = tenant.build.add_flow_caller(orders)
    present = url.partition("/workflows/")[0] + "/workflows/"
    caller.client_data = caller.client_data.replace(present, old)

    await tenant.assess()

    callers = {one.label: one.is_broken for one in tenant.flows["Orders"].callers}
    assert sorted(callers.values()) == [False, True, True]
    broken = sorted(label for label, is_broken in callers.items() if is_broken)
    found = tenant.list_findings(AssessmentTopic.FLOWS, "retired_url")
    assert [one.level for one in found] == [FindingLevel.PROBLEM, FindingLevel.WARNING]
    assert all(label in found[0].message for label in broken)
    assert "LOGIC_APP" in found[1].message
    assert "OLD_URL" not in found[1].message


async def test_assessment_after_a_key_shows_only_flows_on_microsofts_key(tenant: Assessed) -> None:
    tenant.build.add_http_flow("Orders")
    tenant.build.add_http_flow("Orders (CMK)").is_protected = True
    tenant.build.apply_key()

    await tenant.assess()

    assert tenant.found.phase is AssessmentPhase.AFTER_KEY
    assert set(tenant.flows) == {"Orders"}
    assert tenant.flows["Orders"].recommendations[0].startswith("Start a remediation")
    assert (
        tenant.require_finding(AssessmentTopic.PORTAL_WARNING, "portal_warning").level
        is FindingLevel.WARNING
    )


async def test_finding_about_movable_flows_of_a_linked_environment_names_a_support_ticket(
    tenant: Assessed,
) -> None:
    """If the policy was linked before Microsoft supported flows, only Microsoft can move them."""
    tenant.build.add_polling_flow("Messages")
    tenant.build.apply_key(migrated=False)

    await tenant.assess()

    assert tenant.found.phase is AssessmentPhase.PLATFORM_MIGRATION
    finding = tenant.require_finding(AssessmentTopic.ELIGIBILITY, "policy_link")
    assert finding.level is FindingLevel.WARNING
    assert "ticket" in finding.fix


class _SilentReports:
    """A flow service that rejects each read because requests are throttled."""

    async def read_microsoft_key_flows(self, *_: object, **__: object) -> list[Any]:
        raise ThrottledError

    async def read_runs(self, *_: object, **__: object) -> list[Any]:
        raise ThrottledError


async def test_rules_apply_without_the_microsoft_key_list(
    tenant: Assessed,
) -> None:
    tenant.build.add_http_flow("Orders")

    silent: Any = _SilentReports()
    await tenant.assess(replace(tenant.services, flow_reports=silent))

    assert tenant.flows["Orders"].is_on_microsoft_key_list is None
    assert (
        tenant.require_finding(AssessmentTopic.FLOWS, "report_reconciled").level
        is FindingLevel.UNKNOWN
    )
    assert (
        tenant.list_findings(AssessmentTopic.FLOWS, "flows_staying")[0].level
        is FindingLevel.WARNING
    )
    assert "unknown" in tenant.flows["Orders"].callers_unknown_reason


class _Reports:
    """A flow service that counts the calls of one method. The first calls raise these errors."""

    def __init__(self, reports: object, method: str, *errors: Exception) -> None:
        self._reports = reports
        self._method = method
        self._errors = list(errors)
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._reports, name)
        return self._count(attribute) if name == self._method else attribute

    def _count(self, method: Any) -> Any:
        async def count_and_read(*arguments: Any, **named: Any) -> Any:
            self.asked += 1
            if self._errors:
                raise self._errors.pop(0)
            return await method(*arguments, **named)

        return count_and_read


async def test_no_request_is_sent_after_the_first_throttled_one(
    tenant: Assessed,
) -> None:
    tenant.world.reports_are_bare = True
    names = {"A", "B", "C"}
    for name in names:
        tenant.build.add_http_flow(name)
    refused = [ThrottledError("used up")] * len(names)
    reports: Any = _Reports(tenant.services.flow_reports, "get_flow", *refused)

    await tenant.assess(replace(tenant.services, flow_reports=reports))

    texts = [
        one.message
        for one in tenant.list_findings(AssessmentTopic.FLOWS)
        if "used up" in one.message
    ]
    assert reports.asked == 1
    assert len(texts) == len(names)


async def test_runs_are_read_if_those_of_a_deleted_flow_cannot_be_read(
    tenant: Assessed,
) -> None:
    for name in ("A", "B"):
        tenant.build.add_http_flow(name)
    reports: Any = _Reports(tenant.services.flow_reports, "read_runs", NotFound("no such flow"))

    await tenant.assess(replace(tenant.services, flow_reports=reports))

    assert reports.asked == 2
    assert {flow.callers_unknown_reason for flow in tenant.found.flows} == {
        "Callers by URL are unknown: no run of the last 28 days shows its URL."
    }


async def test_list_entry_without_dataverse_id_is_matched_by_reading_the_flow(
    tenant: Assessed,
) -> None:
    tenant.build.add_http_flow("Orders")
    tenant.world.reports_are_bare = True

    await tenant.assess()

    assert tenant.flows["Orders"].is_on_microsoft_key_list is True
    assert tenant.flows["Orders"].in_solution is True


async def test_api_returns_the_assessment_without_a_signature(tenant: Assessed) -> None:
    orders = tenant.build.add_http_flow("Orders")
    tenant.build.add_secret_caller(orders)
    tenant.build.add_flow_caller(orders)
    tenant.world.traffic.beat(tenant.world)
    provide(tenant.services)

    reply = await call(show_assessment, id=tenant.build.environment.id)
    strange = await call(show_assessment, id="strange")
    slip = await call(show_assessment, id=tenant.build.environment.id, query={"polcy": "x"})

    assert (reply.status, strange.status, slip.status) == (200, 404, 400)
    (flow,) = reply.document["flows"]
    assert {one["kind"] for one in flow["callers"]} == {"key_vault_secret", "flow"}
    assert reply.document["estimate"]["copies"] == 1
    assert "sig=" not in reply.text
