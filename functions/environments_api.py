"""HTTP: environments and what the app may do in each."""

import azure.functions as func

from functions.environment_models import (
    EnvironmentAnswer,
    EnvironmentChange,
    Waiver,
    WaiverAnswer,
)
from functions.http_answers import ItemList, answers, ok
from functions.http_requests import NoQuery, read_body, read_query, route_id
from shared.bootstrap import services
from shared.use_cases import change_environment as environments

blueprint = func.Blueprint()


@blueprint.route(route="environments", methods=["GET"])
@answers
async def list_environments(req: func.HttpRequest) -> func.HttpResponse:
    """Return every environment of the tenant with its settings."""
    read_query(req, NoQuery)
    found = await environments.list_environments(services())
    return ok(ItemList[EnvironmentAnswer](items=tuple(map(EnvironmentAnswer.of, found))))


@blueprint.route(route="environments/{id}", methods=["GET"])
@answers
async def show_environment(req: func.HttpRequest) -> func.HttpResponse:
    """Return one environment with its settings."""
    read_query(req, NoQuery)
    found = await environments.show_environment(services(), route_id(req))
    return ok(EnvironmentAnswer.of(found))


@blueprint.route(route="environments/{id}", methods=["PUT"])
@answers
async def change_environment(req: func.HttpRequest) -> func.HttpResponse:
    """Set settings of an environment; those that are left out stay."""
    read_query(req, NoQuery)
    change = read_body(req, EnvironmentChange)
    found = await environments.change_environment(services(), route_id(req), change.changes())
    return ok(EnvironmentAnswer.of(found))


@blueprint.route(route="environments/{id}/waivers", methods=["POST"])
@answers
async def waive_gap(req: func.HttpRequest) -> func.HttpResponse:
    """Accept a firewall gap by name, and go on with the jobs that a gap blocks."""
    read_query(req, NoQuery)
    waiver = read_body(req, Waiver)
    retried = await environments.waive_gap(services(), route_id(req), waiver.gap, waiver.reason)
    return ok(WaiverAnswer(gap=waiver.gap, retried=retried))
