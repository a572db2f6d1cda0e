import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from functions import dashboard_api, plan_page_api, remediations_api
from functions.dashboard.flow_lists import FLOWS_ON_PAGE
from shared.bootstrap import provide
from shared.domain.flow_owner import OwnerStatus
from shared.domain.plans.plan_approval import format_plan_text
from tests.fakes.definition_builder import build_http_trigger
from tests.fakes.memory_store import MemoryStore
from tests.functional.app.dashboard_scenario import show_remediation_page
from tests.functional.scenarios.app_calls import TRIGGERS, Reply, call
from tests.functional.scenarios.remediation_scenario import Scenario, approve_shown


@pytest.fixture
async def scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    world = scenario.world
    ana, lee, kim = (world.add_user(name) for name in ("Ana Ruiz", "Lee Wong", "Kim Gone"))
    for name, owner in (("Orders", ana), ("Invoices", lee), ("Returns", kim)):
        scenario.build.add_flow(name, build_http_trigger(), owner=owner)
    lee.is_disabled = True
    del world.users[kim.user_id]
    scenario.build.apply_key()
    await scenario.start_remediation()
    provide(scenario.services)
    return scenario


def list_titles(page: Reply) -> set[str]:
    return set(re.findall(r'<li[^>]*><b><a href="[^"]+">([^<]+)</a>', page.text))


async def read_plan_page(scenario: Scenario, **query: str) -> Reply:
    return await call(plan_page_api.show_plan_page, id=scenario.remediation.id, query=query)


async def test_discovery_stores_owners_in_plan_items_and_flow_jobs(scenario: Scenario) -> None:
    await scenario.approve(run=timedelta(hours=6))

    jobs = await scenario.read_jobs()
    environment_job = await scenario.read_environment_job()
    items = await scenario.services.tables.plan_items.read_all(environment_job.id)
    assert {
        title: job.original.owner and job.original.owner.status for title, job in jobs.items()
    } == {
        "Orders": OwnerStatus.ENABLED,
        "Invoices": OwnerStatus.DISABLED,
        "Returns": OwnerStatus.NOT_FOUND,
    }
    assert {one.display_name: one.owner for one in items} == {
        title: job.original.owner for title, job in jobs.items()
    }


@pytest.mark.parametrize(
    ("asked", "titles"),
    [
        ("ana", {"Orders"}),
        ("disabled", {"Invoices"}),
        ("not found", {"Returns"}),
        ("nobody", set[str]()),
    ],
)
async def test_remediation_page_filters_flows_by_owner(
    scenario: Scenario, asked: str, titles: set[str]
) -> None:
    assert list_titles(await show_remediation_page(scenario, owner=asked)) == titles


async def test_pages_report_flows_whose_owner_has_left(scenario: Scenario) -> None:
    page, plan = await show_remediation_page(scenario), await read_plan_page(scenario)

    for shown in (page, plan):
        assert re.search(r"1 flow has</b> an owner whose account is disabled", shown.text)
        assert re.search(r"1 flow has</b> an owner who is not found", shown.text)
    assert "Owner: Lee Wong (disabled)" in page.text
    assert "?owner=not%20found#flows" in page.text


async def test_plan_page_lists_flows_of_one_owner_and_finds_owners(scenario: Scenario) -> None:
    chosen = await read_plan_page(scenario, owner="Lee")
    found = await read_plan_page(scenario, search="lee wong")

    for page in (chosen, found):
        assert re.findall(r'<span class="name">([^<]+)</span>', page.text) == ["Invoices"]
        owner = r"<dt>Owner</dt><dd><button [^>]+>Lee Wong \(disabled\)</button>"
        assert re.search(owner, page.text)


async def test_approval_of_a_filtered_plan_includes_the_other_flows(scenario: Scenario) -> None:
    page = await read_plan_page(scenario, owner="Ana")

    assert "Approve <span" in page.text
    assert "This includes 2 flows not listed on this page." in page.text


async def test_flow_page_links_to_the_flows_of_its_owner(scenario: Scenario) -> None:
    """Two owners may have the same name."""
    flow = next(one for one in scenario.build.environment.flows.values() if one.name == "Orders")
    page = await call(
        dashboard_api.show_flow_page,
        id=scenario.remediation.id,
        params={"flow": flow.workflow_id},
    )

    link = re.search(r'href="([^"]+owner=([^"#]+)#flows)">Ana Ruiz</a>', page.text)
    assert link
    assert list_titles(await show_remediation_page(scenario, owner=link[2])) == {"Orders"}


async def test_answers_have_owners_and_filter_by_owner(scenario: Scenario) -> None:
    identity = scenario.remediation.id
    whole = await call(remediations_api.show_plan, id=identity)
    part = await call(remediations_api.show_plan, id=identity, query={"owner": "disabled"})
    await approve_shown(scenario.services, identity)
    await scenario.run(timedelta(hours=6))
    provide(scenario.services)
    detail = await call(
        remediations_api.show_remediation, id=identity, query={"owner": "not found"}
    )

    [plan], [few] = whole.document["items"], part.document["items"]
    assert [one["owner"]["name"] for one in few["items"]] == ["Lee Wong"]
    assert [one["workflow_id"] for one in few["outlooks"]] == [few["items"][0]["workflow_id"]]
    assert few["version"] == plan["version"]
    assert few["awaiting_flow_ids"] == plan["awaiting_flow_ids"]
    assert [one["owner"]["status"] for one in detail.document["flow_jobs"]] == ["not_found"]


async def test_rows_stored_before_owners_were_read_have_an_unknown_owner(
    scenario: Scenario,
) -> None:
    tables = scenario.services.tables
    job = await scenario.read_environment_job()
    old = [replace(one, owner=None) for one in await tables.plan_items.read_all(job.id)]
    await tables.plan_items.upsert(*old)

    assert list_titles(await show_remediation_page(scenario, owner="unknown")) == {
        "Orders",
        "Invoices",
        "Returns",
    }
    assert "<dt>Owner</dt><dd>unknown</dd>" in (await read_plan_page(scenario)).text
    assert '"owner"' not in format_plan_text(job, old)


async def test_filter_by_owner_reads_the_store_equally_often_for_many_flows(
    scenario: Scenario, monkeypatch: pytest.MonkeyPatch
) -> None:
    await scenario.approve(run=timedelta(hours=6))
    provide(scenario.services)
    reads: Counter[str] = Counter()

    def count(name: str) -> None:
        read = getattr(MemoryStore, name)

        def count_and_read(*arguments: Any, **options: Any) -> Any:
            reads[name] += 1
            return read(*arguments, **options)

        monkeypatch.setattr(MemoryStore, name, count_and_read)

    count("get")
    count("query")
    few = await show_remediation_page(scenario, owner="Ana")
    of_few = reads.copy()
    await add_similar_flows(scenario, "Orders", 1_999)
    reads.clear()
    many = await show_remediation_page(scenario, owner="Ana", start="1900")

    assert list_titles(few) == {"Orders"}
    assert len(list_titles(many)) == FLOWS_ON_PAGE
    assert "owner=Ana&amp;start=1800#flows" in many.text
    assert reads == of_few


async def add_similar_flows(scenario: Scenario, title: str, number: int) -> None:
    tables, job = scenario.services.tables, (await scenario.read_jobs())[title]
    kept = await tables.plan_items.get(job.environment_job_id, job.original.id)
    assert kept
    names = {f"f0000000-0000-4000-8000-{one:012d}": f"{title} {one}" for one in range(number)}
    await tables.flow_jobs.upsert(
        *(
            replace(
                job,
                id=one,
                original=replace(job.original, id=one),
                display_name=name,
                children=(),
                parents=(),
            )
            for one, name in names.items()
        )
    )
    await tables.plan_items.upsert(
        *(replace(kept.item, workflow_id=one, display_name=name) for one, name in names.items())
    )
