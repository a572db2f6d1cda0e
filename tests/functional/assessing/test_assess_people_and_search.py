from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from functions.assessments_api import show_assessment
from shared.bootstrap import provide
from shared.domain.assessment.assessment import AssessmentTopic, EnvironmentAssessment
from shared.domain.finding import FindingLevel
from shared.domain.flow import FlowState
from shared.domain.sharing import TEAMS, USERS, DataversePrincipal
from shared.errors import PlatformError, ServiceUnavailable
from shared.services import Services
from shared.steps.assessing import read_co_owners
from shared.use_cases.assess import assess_environment
from tests.fakes.builder import Builder
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_fake_services
from tests.fakes.tenant import FakeFlow
from tests.fakes.world import World
from tests.functional.scenarios.app_calls import call

EDIT = frozenset({"ReadAccess", "WriteAccess"})


@pytest.fixture
def build() -> Builder:
    return Builder(World())


def build_services(build: Builder, **ports: Any) -> Services:
    return replace(build_fake_services(build_fakes(build.world).ports), **ports)


def list_levels(found: EnvironmentAssessment, topic: AssessmentTopic) -> set[FindingLevel]:
    (section,) = (one for one in found.sections if one.topic is topic)
    return {one.level for one in section.findings}


def share_flow(flow: FakeFlow, table: str, identity: str, rights: frozenset[str]) -> None:
    flow.shares[DataversePrincipal(table=table, id=identity)] = rights


# --- people ---------------------------------------------------------------------------------------


async def test_co_owners_are_named_with_their_permission(build: Builder) -> None:
    orders = build.add_http_flow("Orders")
    build.add_http_flow("Alone")
    team = build.world.add_team("Integration")
    share_flow(orders, USERS, build.world.add_user("Reviewer").user_id, frozenset({"ReadAccess"}))
    share_flow(orders, TEAMS, team.team_id, EDIT)

    found = await assess_environment(build_services(build), build.environment.id)

    flows = {flow.display_name: flow for flow in found.flows}
    assert flows["Orders"].co_owners == ("Integration (team)", "Reviewer: may read")
    assert flows["Orders"].co_owners_unknown_reason == ""
    assert (flows["Alone"].co_owners, flows["Alone"].co_owners_unknown_reason) == ((), "")


async def test_co_owners_of_a_flow_outside_solutions_are_unknown(build: Builder) -> None:
    """Dataverse does not contain the co-owners of such a flow."""
    build.add_power_apps_v1_flow("Form")
    build.add_http_flow("Orders")

    found = await assess_environment(build_services(build), build.environment.id)

    gaps = {flow.display_name: flow.co_owners_unknown_reason for flow in found.flows}
    assert "unknown: it is in no solution" in gaps["Form"]
    assert gaps["Orders"] == ""


async def test_co_owners_are_unknown_if_the_platform_rejects_the_request(build: Builder) -> None:
    build.add_http_flow("Orders")

    class Silent:
        async def list_shares_by_flow(self, _: object, flows: list[str]) -> dict[str, Any]:
            return dict.fromkeys(flows, PlatformError("no right", code="0x80040220", status=403))

    sharing: Any = Silent()
    found = await assess_environment(
        build_services(build, flow_sharing=sharing), build.environment.id
    )

    (flow,) = found.flows
    assert "unknown: 0x80040220" in flow.co_owners_unknown_reason
    assert flow.owner == build.owner.name


async def test_co_owners_beyond_the_limit_of_reads_are_unknown(
    build: Builder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_co_owners, "MAX_CO_OWNER_READS", 2)
    for number in range(3):
        build.add_http_flow(f"Flow {number}")

    found = await assess_environment(build_services(build), build.environment.id)

    assert [bool(flow.co_owners_unknown_reason) for flow in found.flows] == [False, False, True]


async def test_run_only_users_are_unknown_for_every_flow(build: Builder) -> None:
    """No API lists run-only users."""
    build.add_http_flow("Orders")
    build.add_power_apps_v1_flow("Form")

    found = await assess_environment(build_services(build), build.environment.id)

    texts = {flow.display_name: flow.run_only_users for flow in found.flows}
    assert all(text.startswith("Unknown") for text in texts.values())
    assert "Run only users" in texts["Form"]
    assert "is not one of them" in texts["Orders"]


# --- one search for several environments ----------------------------------------------------------


class _CountedKind:
    """A caller kind that counts its searches, and raises an error at each search if `fails` is
    set.
    """

    def __init__(self, kind: Any, count: Counter[str], *, fails: bool = False) -> None:
        self._kind, self._count, self._fails = kind, count, fails

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kind, name)

    async def find(self, *arguments: Any) -> Any:
        self._count[self._kind.kind] += 1
        if self._fails:
            raise ServiceUnavailable
        async for caller in self._kind.find(*arguments):
            yield caller


def build_counted_services(there: Services, count: Counter[str], *failing: str) -> Services:
    kinds: dict[str, Any] = {
        name: _CountedKind(kind, count, fails=name in failing)
        for name, kind in there.callers.items()
    }
    return replace(there, callers=kinds)


async def test_assessments_of_several_environments_share_a_caller_search(build: Builder) -> None:
    other = Builder(build.world, name="Other")
    build.add_flow_caller(build.add_http_flow("Orders"))
    other.add_app_setting_caller(other.add_http_flow("Invoices"))
    build.world.traffic.beat(build.world)
    count: Counter[str] = Counter()
    there = build_counted_services(build_services(build), count)

    first = await assess_environment(there, build.environment.id)
    second = await assess_environment(
        there, other.environment.id, callers_since=first.callers_searched_at
    )

    assert set(count.values()) == {1}
    assert [one.kind for flow in first.flows for one in flow.callers] == ["flow"]
    assert [one.kind for flow in second.flows for one in flow.callers] == ["app_setting"]
    assert second.callers_searched_at == first.callers_searched_at


async def test_assessment_without_a_search_time_searches_again(build: Builder) -> None:
    orders = build.add_http_flow("Orders")
    build.add_app_setting_caller(orders)
    build.world.traffic.beat(build.world)
    count: Counter[str] = Counter()
    there = build_counted_services(build_services(build), count)

    before = await assess_environment(there, build.environment.id)
    for site in build.world.sites.values():
        site.settings.clear()
    build.world.clock.advance(there.settings.overdue_delay)
    after = await assess_environment(there, build.environment.id)

    assert [len(flow.callers) for flow in before.flows] == [1]
    assert [len(flow.callers) for flow in after.flows] == [0]
    assert set(count.values()) == {2}


async def test_next_assessment_searches_only_the_kind_that_did_not_answer(build: Builder) -> None:
    build.add_http_flow("Orders")
    count: Counter[str] = Counter()
    there = build_services(build)

    first = await assess_environment(
        build_counted_services(there, count, "key_vault_secret"), build.environment.id
    )
    since = first.callers_searched_at
    second = await assess_environment(
        build_counted_services(there, count), build.environment.id, callers_since=since
    )

    assert "callers of kind key_vault_secret is incomplete" in first.flows[0].callers_unknown_reason
    assert "key_vault_secret" not in second.flows[0].callers_unknown_reason
    assert {kind: n for kind, n in count.items() if n > 1} == {"key_vault_secret": 2}


async def test_parent_in_another_environment_is_no_caller(build: Builder) -> None:
    """A parent in another environment runs its own import of the flow."""
    other = Builder(build.world, name="Other")
    build.world.assumptions.children_must_be_on = False
    orders = build.add_http_flow("Orders")
    other.add_parent("Elsewhere", orders)
    build.add_parent("Here", orders)

    found = await assess_environment(build_services(build), build.environment.id)

    callers = {flow.display_name: flow.callers for flow in found.flows}
    assert [one.label for one in callers["Orders"]] == ["flow Here"]


async def test_api_returns_and_accepts_the_time_of_the_caller_search(build: Builder) -> None:
    build.add_http_flow("Orders")
    count: Counter[str] = Counter()
    provide(build_counted_services(build_services(build), count))
    identity = build.environment.id

    first = await call(show_assessment, id=identity)
    since = first.document["callers_searched_at"]
    second = await call(show_assessment, id=identity, query={"callers_searched_since": since})
    slip = await call(
        show_assessment, id=identity, query={"callers_searched_since": "2026-03-02T09:00:00"}
    )

    assert set(count.values()) == {1}
    assert second.document["callers_searched_at"] == since
    assert slip.status == 400


# --- silence is not a good sign -------------------------------------------------------------------


class _SilentWorkflows:
    async def list(self, *_: object, **__: object) -> Any:
        raise ServiceUnavailable
        yield


async def test_no_finding_about_flows_is_ok_if_flows_cannot_be_read(build: Builder) -> None:
    build.add_http_flow("Orders")
    silent: Any = _SilentWorkflows()

    found = await assess_environment(build_services(build, workflows=silent), build.environment.id)

    assert found.flow_count is None
    assert "may be higher" in found.estimate.unknown_reason
    for topic in (
        AssessmentTopic.FLOWS,
        AssessmentTopic.PORTAL_WARNING,
        AssessmentTopic.SOLUTIONS,
        AssessmentTopic.NETWORK,
        AssessmentTopic.COPILOT,
    ):
        assert FindingLevel.UNKNOWN in list_levels(found, topic), topic
    assert FindingLevel.OK not in list_levels(found, AssessmentTopic.PORTAL_WARNING) | list_levels(
        found, AssessmentTopic.FLOWS
    )


async def test_named_policy_is_unknown_if_policies_cannot_be_read(build: Builder) -> None:
    build.add_http_flow("Orders")

    class Silent:
        async def read_policies(self) -> Any:
            raise ServiceUnavailable

    keys: Any = Silent()
    found = await assess_environment(
        build_services(build, keys=keys), build.environment.id, policy="cmk-eu"
    )

    assert FindingLevel.UNKNOWN in list_levels(found, AssessmentTopic.ELIGIBILITY)


async def test_flow_with_different_states_in_its_sources_is_reported(build: Builder) -> None:
    orders = build.add_http_flow("Orders")
    there = build_services(build)
    reported = await there.flow_reports.read_microsoft_key_flows(
        build.environment.id, cannot_migrate_only=False
    )

    class Lagging:
        def __getattr__(self, name: str) -> Any:
            return getattr(there.flow_reports, name)

        async def read_microsoft_key_flows(self, *_: object, **__: object) -> Any:
            off = (replace(flow, state=FlowState.OFF) for flow in reported.items)
            return replace(reported, items=tuple(off))

    reports: Any = Lagging()
    found = await assess_environment(replace(there, flow_reports=reports), build.environment.id)

    (section,) = (one for one in found.sections if one.topic is AssessmentTopic.FLOWS)
    (told,) = (one.message for one in section.findings if one.code == "report_reconciled")
    assert "in another state in Dataverse than in the list of flows on Microsoft's key" in told
    assert orders.workflow_id in told
