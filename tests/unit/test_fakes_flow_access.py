import pytest

from tests.fakes import definition_builder as define
from tests.fakes.builder import Builder
from tests.fakes.ports import Ports, build_fakes
from tests.fakes.world import World


@pytest.fixture
def builder() -> Builder:
    return Builder(World())


@pytest.fixture
def ports(builder: Builder) -> Ports:
    return build_fakes(builder.world).ports


async def test_both_lists_are_equal_after_the_platform_migration(
    builder: Builder, ports: Ports
) -> None:
    child, parent, grandparent = builder.add_family("Billing")
    stuck = [
        builder.add_teams_flow("Cards"),
        builder.add_power_apps_v1_flow("Approve"),
        builder.add_admin_list_flow("Inventory"),
        builder.add_keyword_flow("Keyword"),
    ]
    staying = {flow.flow_name for flow in (child, parent, grandparent, *stuck)}
    moving = {
        builder.add_power_apps_v1_flow("In a solution", in_solution=True).flow_name,
        builder.add_parent(
            "Nightly", builder.add_flow("Daily", define.build_recurrence_trigger())
        ).flow_name,
    }

    async def list_names(*, cannot_migrate_only: bool) -> set[str]:
        page = await ports.flow_reports.read_microsoft_key_flows(
            builder.environment.id, cannot_migrate_only=cannot_migrate_only
        )
        return {flow.flow_name for flow in page.items}

    builder.apply_key(migrated=False)
    assert moving | staying < await list_names(cannot_migrate_only=False)
    builder.migrate(at_most=1)
    assert builder.environment.is_migrating
    builder.migrate()

    assert not builder.environment.is_migrating
    assert await list_names(cannot_migrate_only=False) == staying
    assert await list_names(cannot_migrate_only=True) == staying


async def test_list_entries_may_lack_dataverse_id_and_state(builder: Builder, ports: Ports) -> None:
    """An entry of a flow outside solutions has no Dataverse id."""
    builder.add_http_flow("Orders")
    builder.add_power_apps_v1_flow("Approve")
    environment_id = builder.environment.id

    in_solution, alone = await ports.flow_reports.list_flows(environment_id)
    builder.world.reports_are_bare = True
    [bare, _] = await ports.flow_reports.list_flows(environment_id)

    assert in_solution.workflow_id is not None
    assert alone.workflow_id is None
    assert (bare.workflow_id, bare.state) == (None, None)
