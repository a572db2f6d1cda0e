"""What keeps a retired original from being deleted, and what a person does about it."""

from dataclasses import replace

import pytest

from shared.domain.flow import FlowState
from shared.domain.jobs.deletion import Deletion
from shared.domain.jobs.deletion_states import DeletionState
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.delete_originals import delete_originals
from tests.fakes import definition_builder as define
from tests.fakes.crash import Plan
from tests.fakes.tenant import TwinFlow
from tests.functional.deleting.deletion_story import (
    DAY,
    MINUTE,
    at_its_date,
    deletes,
    deletions,
    order,
    original,
    retired_story,
    turns,
)
from tests.functional.scenarios.remediation_scenario import Story


async def blocked_at_its_date(story: Story, code: str) -> Deletion:
    """Let the date come; the one delete has to be blocked with this code, and nothing deleted."""
    await at_its_date(story)
    (row,) = [one for one in (await deletions(story)).values() if one.instruction]
    assert (row.state, row.code) == (DeletionState.BLOCKED, code), row.reason
    assert deletes(story) == []
    assert (await story.job(row.display_name)).state is FlowJobState.RETIRED
    return row


async def ordered_anew(story: Story) -> None:
    """Order all deletes once more and let the date come."""
    await order(story)
    await at_its_date(story)


async def test_an_original_that_is_on_again_is_not_deleted() -> None:
    """Somebody uses it: a person finds out who, turns it off and orders anew."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story)
    orders.state = FlowState.ON

    await blocked_at_its_date(story, "retired_original_on")
    orders.state = FlowState.OFF
    await ordered_anew(story)

    assert orders.is_deleted


async def test_an_edit_since_the_copy_is_accepted_by_a_new_order_and_archived() -> None:
    """The first order did not know of it; the second does, and the edit is kept."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story)
    _edit(orders)

    await blocked_at_its_date(story, "original_edited")
    await ordered_anew(story)

    assert orders.is_deleted
    row = (await deletions(story))["Orders"]
    kept = story.twins.archive.contents[row.definition.removeprefix("memory:")]
    assert kept.decode() == orders.client_data


def _edit(flow: TwinFlow) -> None:
    flow.client_data = flow.client_data.replace('"actions": {', '"actions": {"New": {}, ', 1)
    flow.client_data = flow.client_data.replace('"actions":{', '"actions":{"New":{},', 1)
    flow.version += 1


@pytest.mark.parametrize("what", ["off", "gone"])
async def test_without_a_copy_that_works_nothing_is_deleted(what: str) -> None:
    """Nothing would do the original's work."""
    story = await retired_story()
    job = await story.job("Orders")
    copy = story.world.workflow(job.environment_id, job.copy_id)
    await order(story)
    copy.state, copy.is_deleted = FlowState.OFF, what == "gone"

    row = await blocked_at_its_date(story, "copy_changed")

    assert what in row.reason


async def test_a_flow_that_was_off_is_deleted_although_its_copy_is_off() -> None:
    """Both are off: that is how the original was."""
    story = await retired_story(lambda s: s.build.off_flow("Idle"))
    await order(story)

    await at_its_date(story)

    assert original(story, "Idle").is_deleted


async def test_a_caller_that_holds_the_old_url_again_keeps_the_original() -> None:
    """Somebody put the old value back: it is named, and changed by hand before the next order."""
    story = Story()
    orders = story.build.http_flow("Orders")
    site = story.build.app_setting_caller(orders)
    old = story.build.url_of(orders)
    story = await retired_story(story=story)
    new = site.settings["FLOW_URL"]
    await order(story)
    site.settings["FLOW_URL"] = old

    row = await blocked_at_its_date(story, "manual_caller")
    site.settings["FLOW_URL"] = new
    await ordered_anew(story)

    assert "FLOW_URL" in row.reason
    assert "sig=" not in row.reason
    assert orders.is_deleted


async def test_a_caller_that_came_since_is_found_before_the_delete() -> None:
    """A new app holds the old URL: no remediation has seen it, the fresh search does."""
    story = await retired_story()
    orders = original(story, "Orders")
    await order(story)
    story.build.app_setting_caller(orders, site="new-app")

    row = await blocked_at_its_date(story, "manual_caller")

    assert "new-app" in row.reason


async def test_one_search_is_enough_for_all_that_go_on_one_day() -> None:
    """Three originals, one look at every app and vault of the tenant."""
    story = await retired_story(lambda s: s.build.family("Billing"))
    await order(story)
    plan = Plan(trace=[])
    await story.run(DAY + MINUTE)
    await turns(story, story.make(story.twins.ports.under(plan)))

    assert len(deletes(story)) == 3
    assert plan.trace is not None
    assert plan.trace.count("SecretsTwin.list") <= 1
    assert plan.trace.count("EnvironmentsTwin.list") == 1


async def test_an_original_of_a_managed_solution_is_left_to_where_it_is_made() -> None:
    """It became part of one since it was copied."""
    story = await retired_story()
    await order(story)
    original(story, "Orders").is_managed = True

    await blocked_at_its_date(story, "managed_solution")


async def test_an_original_that_was_excluded_since_the_order_is_not_touched() -> None:
    """The later decision counts."""
    story = await retired_story()
    await order(story)
    await story.opt_in(excluded_flows=frozenset({original(story, "Orders").workflow_id}))

    await blocked_at_its_date(story, "flow_excluded")


async def test_an_archive_that_does_not_give_the_definition_back_stops_the_delete() -> None:
    """What was kept is read back and compared before the flow goes."""
    story = await retired_story()
    await order(story)
    job = await story.job("Orders")
    story.twins.archive.contents[job.archive.removeprefix("memory:")] = b"{}"

    await blocked_at_its_date(story, "archive_failed")


async def test_an_original_that_somebody_else_deleted_is_noted_as_gone() -> None:
    """The app does not claim that it can be restored until a day that it does not know."""
    story = await retired_story()
    await order(story)
    original(story, "Orders").is_deleted = True

    await at_its_date(story)

    row = (await deletions(story))["Orders"]
    assert (row.state, row.restorable_until) == (DeletionState.DELETED, None)
    assert "somebody else" in row.history[-1].text
    assert deletes(story) == []


# --- families ------------------------------------------------------------------------------------


async def test_a_family_is_deleted_from_the_top() -> None:
    """A child's original stays until its parents' are gone, whatever the order of the rows."""
    story = await retired_story(lambda s: s.build.family("Billing"))
    titles = ("Billing grandparent", "Billing parent", "Billing child")
    await order(story)

    await at_its_date(story)

    rows = await deletions(story)
    assert {row.state for row in rows.values()} == {DeletionState.DELETED}, rows
    assert deletes(story) == [original(story, title).workflow_id for title in titles]


async def test_a_child_alone_is_blocked_by_the_original_that_runs_it() -> None:
    """The parent could not be brought back any more: its delete has to be ordered too."""
    story = await retired_story(lambda s: s.build.family("Billing"))
    child = original(story, "Billing child")
    await order(story, child.workflow_id)

    row = await blocked_at_its_date(story, "parent_flow_not_ready")

    assert "Billing parent" in row.instruction


async def test_a_parent_that_no_longer_runs_it_is_in_nobodys_way() -> None:
    """The parent's original was edited since: it reads as no caller."""
    story = await retired_story(lambda s: s.build.family("Billing"))
    child, parent = original(story, "Billing child"), original(story, "Billing parent")
    parent.client_data = story.build.http_flow("Other").client_data
    await order(story, child.workflow_id)

    await at_its_date(story)

    assert child.is_deleted


async def test_flows_that_call_one_another_are_deleted_together() -> None:
    """Each original holds the other's URL: one goes first when nothing else is in its way."""
    story = Story()
    first = story.build.http_flow("First")
    second = story.build.http_flow(
        "Second", {"Call": define.http_action(story.build.url_of(first))}
    )
    first.client_data = story.build.http_flow(
        "Draft", {"Call": define.http_action(story.build.url_of(second))}
    ).client_data
    draft = next(f for f in story.build.environment.flows.values() if f.name == "Draft")
    del story.build.environment.flows[draft.workflow_id]
    story = await retired_story(story=story)
    await order(story)

    await at_its_date(story)
    await story.run(DAY)
    await turns(story)

    rows = await deletions(story)
    assert {row.state for row in rows.values()} == {DeletionState.DELETED}, rows


async def test_one_list_tells_of_all_that_were_deleted() -> None:
    """The list costs a call of the flow service's small budget: not one for each original."""

    def build(story: Story) -> None:
        for title in ("Bills", "Invoices", "Orders"):
            story.build.http_flow(title)

    story = await retired_story(build)
    await order(story)
    await at_its_date(story)
    table = story.services.tables.deletions
    async for kept in table.query(story.build.environment.id):
        await table.replace(kept, replace(kept.item, is_listed=None, due=kept.item.deleted_at))
    calls: list[str] = []
    services = story.services
    read = services.flow_reports.microsoft_key_flows

    async def counted(
        environment_id: str, cursor: str = "", *, cannot_migrate_only: bool
    ) -> object:
        calls.append(environment_id)
        return await read(environment_id, cursor, cannot_migrate_only=cannot_migrate_only)

    services.flow_reports.microsoft_key_flows = counted  # type: ignore[assignment, method-assign]
    await delete_originals(services)

    assert [row.is_listed for row in (await deletions(story)).values()] == [False] * 3
    assert len(calls) == 1
