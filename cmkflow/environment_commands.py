"""`cmkflow environment`: what the app may do in each environment."""

from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient, ApiError
from cmkflow.api_command import api_command
from cmkflow.listing import Listing, ShortId, facts
from cmkflow.names import FLOWS_OF_ENVIRONMENTS, EnvironmentId
from cmkflow.remediation_tables import counted
from shared.domain.name_lookup import short_ids

app = typer.Typer(no_args_is_help=True, help="What the app may do in each environment.")


def _list(answer: Any) -> Listing:
    ids = short_ids(item["id"] for item in answer["items"])
    rows = [
        (
            item["display_name"],
            ShortId(item["id"], ids[item["id"]]),
            _policy(item["policy"]),
            item["settings"]["mode"],
            str(item["settings"]["limit"]),
        )
        for item in answer["items"]
    ]
    titles = ("Environment", "Id", "Policy", "Mode", "Limit")
    return Listing(titles=titles, rows=rows)


def _policy(policy: Any) -> str:
    """Return the policy's name and the state of its link."""
    if not policy:
        return "none"
    return f"{policy['policy_id'].rsplit('/', 1)[-1]} ({policy['status']})"


def _one(answer: Any) -> Listing:
    settings, policy = answer["settings"], answer["policy"]
    waived = [f"{gap}: {reason}" for gap, reason in settings["ignored_issues"].items()]
    return facts(
        {
            "Environment": f"{answer['display_name']} ({answer['id']})",
            "Where": f"{answer['geography']}, {answer['region']}",
            "Policy": f"{policy['status']} {policy['policy_id']}" if policy else "none",
            "Mode": settings["mode"],
            "Limit": f"{settings['limit']} flows for each remediation",
            "Maintenance window": settings["maintenance_window"] or "any time",
            "First wave": "\n".join(settings["pilot_flows"]),
            "Excluded flows": "\n".join(settings["excluded_flows"]),
            "Opened by plans": "\n".join(settings["writable_firewalls"]),
            "Waived gaps": "\n".join(waived),
        }
    )


@api_command(app, "list", show=_list)
def list_environments(api: ApiClient) -> object:
    """Show every environment of the tenant and its mode."""
    return {"items": api.items("environments")}


@api_command(app, "show", show=_one)
def show_environment(api: ApiClient, environment: EnvironmentId) -> object:
    """Show one environment and its settings."""
    return api.send(ApiCall(method="GET", path=("environments", environment)))


@api_command(app, "set", show=_one)
def set_environment(
    api: ApiClient,
    environment: EnvironmentId,
    approval_policy: Annotated[
        str | None,
        typer.Option(
            help="read_only: no writes; required: write what was approved; automatic: the plan."
        ),
    ] = None,
    max_flows: Annotated[
        int | None, typer.Option(help="The most flows that one remediation migrates.")
    ] = None,
    maintenance_window: Annotated[
        str | None, typer.Option(help="HH:MM-HH:MM in UTC in which writes are made; '': always.")
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(help="Flow never to touch; repeat it. Replaces the list; '': none."),
        FLOWS_OF_ENVIRONMENTS,
    ] = None,
    pilot: Annotated[
        list[str] | None,
        typer.Option(help="Flow that goes first; repeat it. Replaces the list; '': none."),
        FLOWS_OF_ENVIRONMENTS,
    ] = None,
    writable_firewall: Annotated[
        list[str] | None,
        typer.Option(
            help="Id of a firewall that plans may open; repeat it. Replaces the list; '': none."
        ),
    ] = None,
) -> object:
    """Set what the app may do; what is left out stays as it is."""
    said = {
        "mode": approval_policy,
        "limit": max_flows,
        "maintenance_window": maintenance_window,
        "excluded_flows": _ids(exclude),
        "pilot_flows": _ids(pilot),
        "writable_firewalls": _ids(writable_firewall),
    }
    body = {name: value for name, value in said.items() if value is not None}
    if not body:
        raise ApiError("Nothing is to be set: name at least one of the options (see --help).")
    return api.send(ApiCall(method="PUT", path=("environments", environment), body=body))


@api_command(app, "ignore", show=lambda answer: counted(answer["retried"], "job", "goes on"))
def ignore_issue(
    api: ApiClient,
    environment: EnvironmentId,
    issue: Annotated[str, typer.Argument(help="Its name, as the blocked job shows it.")],
    justification: Annotated[str, typer.Option(help="Why calls of flows succeed anyway.")],
) -> object:
    """Ignore a firewall issue, and retry the jobs that it blocks."""
    body = {"gap": issue, "reason": justification}
    return api.send(
        ApiCall(method="POST", path=("environments", environment, "ignored-issues"), body=body)
    )


def _ids(given: list[str] | None) -> list[str] | None:
    """Return what was given; a single empty text stands for the empty list."""
    return None if given is None else [one for one in given if one]
