"""`cmkflow environment`: show environments, and change their settings."""

from operator import itemgetter
from typing import Annotated, Any

import typer

from cmkflow.api_client import ApiCall, ApiClient
from cmkflow.api_command import api_command
from cmkflow.failed_runs_command import add_failed_runs_command
from cmkflow.listing import Column, Facts, Kind, Listing
from cmkflow.names import FLOWS_OF_ENVIRONMENTS, EnvironmentId
from cmkflow.remediation_tables import format_count_sentence
from cmkflow.solution_setting_command import add_solution_setting_command
from shared.domain.environment import ApprovalPolicy

app = typer.Typer(no_args_is_help=True, help="Environments and what the app may do in each.")


def _build_environment_listing(answer: Any) -> Listing:
    return Listing(columns=_COLUMNS, items=answer["items"])


def _format_enterprise_policy(policy: Any) -> str:
    if not policy:
        return "none"
    return f"{policy['policy_id'].rsplit('/', 1)[-1]} ({policy['status']})"


_COLUMNS = (
    Column("Environment", itemgetter("display_name")),
    Column("Id", itemgetter("id"), Kind.ID),
    Column("Policy", lambda one: _format_enterprise_policy(one["policy"])),
    Column("Approval policy", lambda one: one["settings"]["approval_policy"], Kind.WORD),
    Column("Max flows", lambda one: one["settings"]["max_flows"], Kind.NUMBER),
)


def _format_environment(answer: Any) -> Facts:
    settings, policy = answer["settings"], answer["policy"]
    waived = [
        f"{issue}: {justification}" for issue, justification in settings["ignored_issues"].items()
    ]
    return Facts(
        {
            "Environment": f"{answer['display_name']} ({answer['id']})",
            "Location": f"{answer['geography']}, {answer['region']}",
            "Policy": f"{policy['status']} {policy['policy_id']}" if policy else "none",
            "Approval policy": settings["approval_policy"],
            "Max flows": f"{settings['max_flows']} flows per remediation",
            "Maintenance window": settings["maintenance_window"] or "any time",
            "Pilot flows": "\n".join(settings["pilot_flows"]),
            "Excluded flows": "\n".join(settings["excluded_flows"]),
            "Firewalls the app may fix": "\n".join(settings["writable_firewalls"]),
            "Headers of calls to originals": "read" if settings["observe_callers"] else "not read",
            "Failed runs": "reported" if settings["report_failed_runs"] else "not reported",
            "Notification recipients": "\n".join(settings["notification_recipients"]),
            "Ignored issues": "\n".join(waived),
            "Callers may refer to URL secrets": "yes" if settings["has_url_secrets"] else "no",
            "Also keys of App Configuration": (
                "yes"
                if settings["has_url_secrets"] and settings["has_url_secrets_in_app_configuration"]
                else "no"
            ),
        }
    )


@api_command(app, "list", show=_build_environment_listing)
def list_environments(api: ApiClient) -> object:
    """List the environments of the tenant with their settings.

    Examples:
        cmkflow environment list
        cmkflow environment list -o csv
    """
    return {"items": api.list_items("environments")}


@api_command(app, "show", show=_format_environment)
def show_environment(api: ApiClient, environment: EnvironmentId) -> object:
    """Show an environment and its settings.

    Examples:
        cmkflow environment show Operations
    """
    return api.send(ApiCall(method="GET", path=("environments", environment)))


@api_command(app, "set", show=_format_environment)
def set_environment(
    api: ApiClient,
    environment: EnvironmentId,
    approval_policy: Annotated[
        ApprovalPolicy | None,
        typer.Option(
            help=(
                "read_only: no writes; required: write what an approver approved; automatic: write "
                "without approval."
            )
        ),
    ] = None,
    max_flows: Annotated[
        int | None, typer.Option(help="Maximum number of flows per remediation.")
    ] = None,
    maintenance_window: Annotated[
        str | None,
        typer.Option(
            help="Hours in which the app may make changes, HH:MM-HH:MM in UTC. '' for always."
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            help="Flow that the app never changes. Can be repeated; replaces the list. '' for none."
        ),
        FLOWS_OF_ENVIRONMENTS,
    ] = None,
    pilot: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Pilot flow, which is migrated first. Can be repeated; replaces the list. '' for "
                "none."
            )
        ),
        FLOWS_OF_ENVIRONMENTS,
    ] = None,
    writable_firewall: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "Resource id of a firewall that the app may fix. Can be repeated; replaces the "
                "list. '' for none."
            )
        ),
    ] = None,
    observe_callers: Annotated[
        bool | None,
        typer.Option(
            "--observe-callers/--no-observe-callers",
            help=(
                "Read the headers of calls to originals whose known callers were updated, to "
                "show who still calls. --no-observe-callers also deletes what was read."
            ),
        ),
    ] = None,
    report_failed_runs: Annotated[
        bool | None,
        typer.Option(
            "--report-failed-runs/--no-report-failed-runs",
            help="Report yesterday's failed runs each day. --no-… also deletes the last report.",
        ),
    ] = None,
    notification_recipient: Annotated[
        list[str] | None,
        typer.Option(
            help=(
                "E-mail address that notifications about the environment name as a recipient; the "
                "app sends no e-mail. Can be repeated; replaces the list. '' for none."
            )
        ),
    ] = None,
    url_secrets: Annotated[
        bool | None,
        typer.Option(
            "--url-secrets/--no-url-secrets",
            help="Whether callers may refer to a Key Vault secret that holds the URL.",
        ),
    ] = None,
    app_configuration: Annotated[
        bool | None,
        typer.Option(
            "--url-secrets-in-app-configuration/--no-url-secrets-in-app-configuration",
            help=(
                "Whether keys of App Configuration may refer to it, too. Their readers must then "
                "resolve Key Vault references and have access to the vault; the app cannot check "
                "that."
            ),
        ),
    ] = None,
) -> object:
    """Change settings of an environment. Options that are omitted keep their value.

    Examples:
        cmkflow environment set Operations --approval-policy required --max-flows 5
        cmkflow environment set Operations --pilot "Print labels"
        cmkflow environment set Operations --maintenance-window 20:00-06:00
    """
    said = {
        "approval_policy": approval_policy,
        "max_flows": max_flows,
        "maintenance_window": maintenance_window,
        "excluded_flows": _remove_empty_values(exclude),
        "pilot_flows": _remove_empty_values(pilot),
        "writable_firewalls": _remove_empty_values(writable_firewall),
        "observe_callers": observe_callers,
        "report_failed_runs": report_failed_runs,
        "notification_recipients": _remove_empty_values(notification_recipient),
        "has_url_secrets": url_secrets,
        "has_url_secrets_in_app_configuration": app_configuration,
    }
    body = {name: value for name, value in said.items() if value is not None}
    if not body:
        raise typer.BadParameter("Nothing to change. Use at least one option.")
    return api.send(ApiCall(method="PUT", path=("environments", environment), body=body))


@api_command(
    app,
    "ignore",
    show=lambda answer: format_count_sentence(answer["retried_count"], "job", "retried"),
)
def ignore_issue(
    api: ApiClient,
    environment: EnvironmentId,
    issue: Annotated[
        str, typer.Argument(help="Name of the firewall issue, as the blocked job shows it.")
    ],
    justification: Annotated[str, typer.Option(help="Why the issue does not block calls.")],
) -> object:
    """Ignore a firewall issue, and retry the environment's jobs that firewall issues block.

    Examples:
        cmkflow environment ignore Operations ISSUE --justification "own proxy"
    """
    body = {"issue": issue, "justification": justification}
    return api.send(
        ApiCall(method="POST", path=("environments", environment, "ignored-issues"), body=body)
    )


add_failed_runs_command(app)
add_solution_setting_command(app)


def _remove_empty_values(given: list[str] | None) -> list[str] | None:
    """Return the values of an option without empty ones, so that `--exclude ""` means no flow."""
    return None if given is None else [one for one in given if one]
