"""HTTP: environments and what the app may do in each."""

from functions.endpoints import Call, endpoint
from functions.environment_models import (
    EnvironmentAnswer,
    EnvironmentChange,
    FlowNameAnswer,
    Waiver,
    WaiverAnswer,
)
from functions.http_headers import IF_MATCH
from functions.http_requests import NoBody, NoQuery
from functions.http_responses import ItemList
from functions.paging import Page, PagedQuery
from shared.bootstrap import services
from shared.domain.identifiers import environment_identifier
from shared.domain.principal import Role
from shared.use_cases import change_environment as environments
from shared.use_cases import name_flows
from shared.use_cases.audit_state import environment_state


@endpoint(
    role=Role.READER,
    query=PagedQuery,
    answer=Page[EnvironmentAnswer],
)
async def list_environments(call: Call[PagedQuery, NoBody]) -> Page[EnvironmentAnswer]:
    """Return the environments of the tenant with their settings, by id."""
    found = await environments.list_environments(services())
    ids = [one.environment.id for one in found]
    first, limit = call.query.begin(ids), call.query.limit
    items = tuple(map(EnvironmentAnswer.of, found[first : first + limit]))
    return Page[EnvironmentAnswer](
        items=items, next=items[-1].id if first + limit < len(found) else ""
    )


@endpoint(role=Role.READER, answer=EnvironmentAnswer)
async def show_environment(call: Call[NoQuery, NoBody]) -> EnvironmentAnswer:
    """Return one environment with its settings."""
    found = await environments.show_environment(services(), environment_identifier(call.id))
    return EnvironmentAnswer.of(found)


@endpoint(
    role=Role.APPROVER,
    body=EnvironmentChange,
    answer=EnvironmentAnswer,
    headers=(IF_MATCH,),
    subject=environment_state,
)
async def change_environment(call: Call[NoQuery, EnvironmentChange]) -> EnvironmentAnswer:
    """Set settings of an environment; those that are left out stay."""
    found = await environments.change_environment(
        services(),
        environment_identifier(call.id),
        call.body.changes(),
        check=lambda shown: call.check_seen(EnvironmentAnswer.of(shown)),
    )
    return EnvironmentAnswer.of(found)


@endpoint(
    role=Role.READER,
    answer=ItemList[FlowNameAnswer],
)
async def list_flows(call: Call[NoQuery, NoBody]) -> ItemList[FlowNameAnswer]:
    """Return the flows of an environment by name: ids that orders take."""
    found = await name_flows.list_flows(services(), environment_identifier(call.id))
    return ItemList[FlowNameAnswer](items=tuple(map(FlowNameAnswer.model_validate, found)))


@endpoint(
    role=Role.APPROVER,
    body=Waiver,
    answer=WaiverAnswer,
    subject=environment_state,
)
async def waive_gap(call: Call[NoQuery, Waiver]) -> WaiverAnswer:
    """Accept a firewall gap by name, and go on with the jobs that a gap blocks."""
    waiver = call.body
    retried = await environments.waive_gap(
        services(), environment_identifier(call.id), waiver.gap, waiver.reason
    )
    return WaiverAnswer(gap=waiver.gap, retried=retried)
