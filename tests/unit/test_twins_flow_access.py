"""What the twins give a co-owner, and what the reports on Microsoft's key say."""

import pytest

from shared.errors import NotFound, Refused
from tests.twins import definition_builder as define
from tests.twins.builder import Builder
from tests.twins.ports import Ports, twins_of
from tests.twins.world import World


@pytest.fixture
def builder() -> Builder:
    """Give an empty environment."""
    return Builder(World())


@pytest.fixture
def ports(builder: Builder) -> Ports:
    """Give the ports onto it."""
    return twins_of(builder.world).ports


async def test_a_trigger_url_takes_co_ownership(builder: Builder, ports: Ports) -> None:
    """The operator is refused, becomes co-owner, reads, and steps back."""
    flow = builder.http_flow("Orders")
    access, where = ports.flow_access, (flow.environment_id, flow.flow_name)

    with pytest.raises(Refused, match="NoCoOwner"):
        await access.trigger_url(*where, "manual")
    await access.add_operator(*where)
    await access.add_operator(*where)
    url = await access.trigger_url(*where, "manual")
    roles = {one.principal_id: one.role for one in await access.permissions(*where)}
    await access.remove_operator(*where)
    await access.remove_operator(*where)

    assert url == builder.url_of(flow)
    assert roles == {
        builder.owner.entra_id: "Owner",
        await access.operator_id(): "CanEdit",
    }
    assert [write.what for write in builder.world.writes] == ["add co-owner", "remove co-owner"]


async def test_a_power_apps_trigger_has_no_url(builder: Builder, ports: Ports) -> None:
    """The platform refuses the URL of every kind but two."""
    flow = builder.power_apps_v1_flow("Approve")
    where = (flow.environment_id, flow.flow_name)
    await ports.flow_access.add_operator(*where)

    with pytest.raises(Refused, match="ListCallbackUrlOperationBlocked"):
        await ports.flow_access.trigger_url(*where, "manual")


async def test_a_flow_that_was_never_on_has_no_url(builder: Builder, ports: Ports) -> None:
    """The URL comes with activation, and a strange trigger is not found."""
    flow, other = builder.off_flow("Orders"), builder.teams_flow("Cards")
    await ports.flow_access.add_operator(flow.environment_id, flow.flow_name)
    await ports.flow_access.add_operator(other.environment_id, other.flow_name)

    with pytest.raises(NotFound):
        await ports.flow_access.trigger_url(flow.environment_id, flow.flow_name, "manual")
    with pytest.raises(NotFound):
        await ports.flow_access.trigger_url(other.environment_id, other.flow_name, "Other")


async def test_both_reports_agree_when_migration_is_over(builder: Builder, ports: Ports) -> None:
    """While flows move, the full list is longer; only what cannot move is left."""
    child, parent, grandparent = builder.family("Billing")
    stuck = [
        builder.teams_flow("Cards"),
        builder.power_apps_v1_flow("Approve"),
        builder.admin_list_flow("Inventory"),
        builder.keyword_flow("Keyword"),
    ]
    staying = {flow.flow_name for flow in (child, parent, grandparent, *stuck)}
    moving = {
        builder.power_apps_v1_flow("In a solution", in_solution=True).flow_name,
        builder.parent("Nightly", builder.flow("Daily", define.recurrence_trigger())).flow_name,
    }

    async def listed(*, cannot_migrate_only: bool) -> set[str]:
        flows = await ports.flow_reports.microsoft_key_flows(
            builder.environment.id, cannot_migrate_only=cannot_migrate_only
        )
        return {flow.flow_name for flow in flows}

    builder.link(migrated=False)
    assert moving | staying < await listed(cannot_migrate_only=False)
    builder.migrate(at_most=1)
    assert builder.environment.is_migrating
    builder.migrate()

    assert not builder.environment.is_migrating
    assert await listed(cannot_migrate_only=False) == staying
    assert await listed(cannot_migrate_only=True) == staying


async def test_reports_may_name_nothing_but_the_flow(builder: Builder, ports: Ports) -> None:
    """A bare report has neither the Dataverse id nor the state; flows in no solution never do."""
    builder.http_flow("Orders")
    builder.power_apps_v1_flow("Approve")
    environment_id = builder.environment.id

    in_solution, alone = await ports.flow_reports.list_flows(environment_id)
    builder.world.reports_are_bare = True
    [bare, _] = await ports.flow_reports.list_flows(environment_id)

    assert in_solution.workflow_id is not None
    assert alone.workflow_id is None
    assert (bare.workflow_id, bare.state) == (None, None)
