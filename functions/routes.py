"""List the routes of the API with the modules of their handlers.

A module is imported by the first request for one of its routes, so that instances that only process
queues and timers do not load it.
"""

from dataclasses import dataclass
from typing import Literal

import azure.functions as func

type Method = Literal["GET", "POST", "PUT"]


@dataclass(frozen=True, slots=True)
class Route:
    """A route of the API: its method and path, and the module of its handler."""

    method: Method
    #: Relative to `/api/`, with parameters such as `{id}`.
    path: str
    #: A module of `functions/`.
    module: str
    #: Name of the handler, and of the function in the host.
    name: str


LISTED = (
    Route("GET", "environments/{id}/assessment", "assessments_api", "show_assessment"),
    Route("POST", "environments/{id}/assessment", "assessments_api", "start_assessment"),
    Route("GET", "assessments/{id}", "assessments_api", "show_assessment_by_id"),
    Route("GET", "health", "health_api", "show_health"),
    Route("GET", "status", "status_api", "show_status"),
    Route("GET", "audit", "audit_api", "list_audit"),
    Route("GET", "audit/export", "audit_api", "export_audit"),
    Route("POST", "remediations/{id}/approve", "remediation_actions_api", "approve_remediation"),
    Route("POST", "remediations/{id}/url-secrets", "remediation_actions_api", "choose_url_secrets"),
    Route("POST", "remediations/{id}/cancel", "remediation_actions_api", "cancel_remediation"),
    Route("POST", "remediations/{id}/retry", "remediation_actions_api", "retry_remediation"),
    Route("POST", "remediations/{id}/rollback", "remediation_actions_api", "roll_back_remediation"),
    Route("GET", "environments", "environments_api", "list_environments"),
    Route("GET", "environments/{id}", "environments_api", "show_environment"),
    Route("PUT", "environments/{id}", "environments_api", "update_environment_settings"),
    Route("POST", "environments/{id}/settings", "environments_api", "change_environment_settings"),
    Route("GET", "environments/{id}/flows", "environments_api", "list_flows"),
    Route("POST", "environments/{id}/ignored-issues", "environments_api", "ignore_issue"),
    Route("GET", "environments/{id}/failed-runs", "failed_runs_api", "show_failed_runs"),
    Route(
        "GET",
        "environments/{id}/solution-setting",
        "solution_setting_api",
        "show_solution_setting",
    ),
    Route(
        "POST",
        "environments/{id}/solution-setting",
        "solution_setting_api",
        "turn_on_solution_setting",
    ),
    Route(
        "POST",
        "environments/{id}/solution-setting/revert",
        "solution_setting_api",
        "revert_solution_setting",
    ),
    Route("GET", "network/firewall-fixes", "firewall_fixes_api", "list_firewall_fixes"),
    Route("POST", "network/firewall-fixes", "firewall_fixes_api", "apply_firewall_fix"),
    Route("POST", "network/firewall-fixes/revert", "firewall_fixes_api", "revert_firewall_fix"),
    Route("GET", "network/firewalls", "network_api", "list_firewalls"),
    Route("GET", "dashboard", "dashboard_api", "show_status_page"),
    Route("GET", "dashboard/environments", "dashboard_api", "show_environments_page"),
    Route("GET", "dashboard/remediations", "dashboard_api", "show_remediations_page"),
    Route("GET", "dashboard/remediations/{id}", "dashboard_api", "show_remediation_page"),
    Route("GET", "dashboard/remediations/{id}/plan", "plan_page_api", "show_plan_page"),
    Route("POST", "dashboard/remediations/{id}/plan", "plan_page_api", "keep_plan_ticks"),
    Route("GET", "dashboard/remediations/{id}/flows/{flow}", "dashboard_api", "show_flow_page"),
    Route("GET", "dashboard/failed-runs", "failed_runs_page_api", "show_failed_runs_page"),
    Route(
        "GET",
        "dashboard/support-requests",
        "support_requests_page_api",
        "show_support_requests_page",
    ),
    Route("GET", "dashboard/audit", "audit_page_api", "show_audit_page"),
    Route("GET", "dashboard/network", "network_page_api", "show_network_page"),
    Route("GET", "dashboard/callers", "callers_page_api", "show_callers_page"),
    Route("POST", "dashboard/callers/file", "callers_page_api", "show_caller_file"),
    Route("GET", "dashboard/settings", "settings_page_api", "show_settings_page"),
    Route("GET", "dashboard/deletions", "deletions_page_api", "show_deletions_page"),
    Route("GET", "dashboard/assets/{name}", "dashboard_api", "show_asset"),
    Route("GET", "deletions", "deletions_api", "list_tenant_deletions"),
    Route("GET", "declared-callers", "declared_callers_api", "list_declared_callers"),
    Route("POST", "declared-callers", "declared_callers_api", "declare_callers"),
    Route("POST", "declared-callers/flows", "declared_callers_api", "declare_called_flow"),
    Route("POST", "declared-callers/import", "declared_callers_api", "import_callers"),
    Route("POST", "declared-callers/confirm", "declared_callers_api", "confirm_caller"),
    Route(
        "GET", "declared-callers/confirmation", "confirmation_link_api", "show_confirmation_page"
    ),
    Route("POST", "declared-callers/confirmation", "confirmation_link_api", "confirm_by_link"),
    Route("POST", "declared-callers/remove", "declared_callers_api", "remove_declared_caller"),
    Route("GET", "deletions/export", "deletions_api", "export_deletions"),
    Route("GET", "remediations/{id}/deletions", "deletions_api", "list_deletions"),
    Route("POST", "remediations/{id}/deletions", "deletions_api", "schedule_deletions"),
    Route("POST", "remediations/{id}/deletions/cancel", "deletions_api", "cancel_deletions"),
    Route("GET", "doctor", "doctor_api", "check_deployment"),
    Route("GET", "remediations/{id}/evidence", "evidence_api", "show_evidence"),
    Route("POST", "keys/check", "keys_api", "check_keys"),
    Route("GET", "kill-switch", "kill_switch_api", "show_kill_switch"),
    Route("PUT", "kill-switch", "kill_switch_api", "set_kill_switch"),
    Route("POST", "kill-switch/on", "kill_switch_api", "turn_kill_switch_on"),
    Route("POST", "kill-switch/off", "kill_switch_api", "turn_kill_switch_off"),
    Route(
        "GET",
        "network/service-tag-lists",
        "service_tag_lists_api",
        "list_service_tag_list_versions",
    ),
    Route(
        "POST",
        "network/service-tag-lists/refresh",
        "service_tag_lists_api",
        "refresh_service_tag_list",
    ),
    Route("GET", "support-requests", "support_requests_api", "list_support_requests"),
    Route("GET", "support-requests/{id}", "support_requests_api", "show_support_request"),
    Route(
        "POST",
        "support-requests/{id}/filed",
        "support_requests_api",
        "mark_support_request_filed",
    ),
    Route("POST", "support-requests/{id}/reopen", "support_requests_api", "reopen_support_request"),
    Route("GET", "settings", "settings_api", "list_settings"),
    Route("GET", "openapi.json", "openapi_api", "show_openapi"),
    Route(
        "GET",
        "sign-in-configuration",
        "sign_in_configuration_api",
        "show_sign_in_configuration",
    ),
    Route("POST", "remediations", "remediations_api", "start_remediation"),
    Route("GET", "remediations", "remediations_api", "list_remediations"),
    Route("GET", "remediations/{id}", "remediations_api", "show_remediation"),
    Route("GET", "remediations/{id}/plan", "remediations_api", "show_plan"),
    Route("GET", "remediations/{id}/run-archives", "run_archives_api", "list_run_archives"),
    Route("POST", "remediations/{id}/run-archives", "run_archives_api", "archive_runs"),
)
#: Routes by method and path.
ROUTES: dict[tuple[Method, str], Route] = {(route.method, route.path): route for route in LISTED}
#: Any path of the dashboard that no other route has; not part of the API. The host tries routes in
#: the order of their functions' names (github.com/Azure/azure-functions-host/issues/9876).
UNKNOWN_PAGE = Route("GET", "dashboard/{*path}", "dashboard_api", "show_unknown_page")

blueprint = func.Blueprint()


def _register_route(route: Route) -> None:
    async def answer_when_called(req: func.HttpRequest) -> func.HttpResponse:
        from functions.endpoints import answer_request

        return await answer_request(route, req)

    # The worker takes the function's name from here, and reads its signature.
    answer_when_called.__name__ = route.name
    blueprint.route(route=route.path, methods=[route.method])(answer_when_called)


for _route in (*ROUTES.values(), UNKNOWN_PAGE):
    _register_route(_route)
