"""Decide whether a call to a trigger URL is accepted.

Signature or token, and the state of the flow, decide. See platform.md#trigger-answers.
"""

import hmac
import re
from dataclasses import dataclass, field

from local_cloud.tenant.azure.key_health import is_locked
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.core.tokens import SimulatedCaller
from local_cloud.tenant.entra.directory import Directory
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, SimulatedFlowState
from local_cloud.tenant.environments.power_platform import PowerPlatform, build_environment_host

#: Audience of a call's token, compared to the letter, slash and all.
AUDIENCE = "https://service.flow.microsoft.com/"

#: Path of a trigger URL, old or new.
CALL_PATH = re.compile(
    r"(?:/powerautomate/automations/direct(?:/cu/\d+)?)?/workflows/(?P<workflow>[0-9a-fA-F]{32})"
    r"/triggers/(?P<trigger>[^/]+)/paths/invoke(?:/.*)?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerCall:
    host: str
    workflow_id: str
    trigger: str
    query: dict[str, str] = field(default_factory=dict)
    #: The Authorization header.
    authorization: str = ""


def admit_call(tenant: Tenant, call: TriggerCall) -> tuple[SimulatedEnvironment, Flow]:
    """Return the environment and the flow of a call.

    Raises `SimulatedPlatformError` if it is rejected.
    """
    found = tenant.get_part(PowerPlatform).find_called_flow(call.workflow_id)
    if found is None or not _is_host_of_flow(found[0], found[1], call.host):
        message = f"The workflow '{call.workflow_id}' could not be found."
        raise SimulatedPlatformError(404, "WorkflowNotFound", message)
    environment, flow = found
    facts = flow.get_facts()
    if call.trigger != facts.trigger_name:
        message = f"The workflow trigger '{call.trigger}' could not be found."
        raise SimulatedPlatformError(404, "WorkflowTriggerNotFound", message)
    if not facts.has_callback_url or facts.authentication == "All":
        _require_signature(flow, call)
    else:
        _require_token(tenant, flow, call)
    _require_on(tenant, environment, flow)
    return environment, flow


def _is_host_of_flow(environment: SimulatedEnvironment, flow: Flow, host: str) -> bool:
    if flow.url_form == "classic":
        return host.lower().endswith(f".{environment.azure_region}.logic.azure.com")
    return host.lower() == build_environment_host(environment.id)


def _require_signature(flow: Flow, call: TriggerCall) -> None:
    if call.authorization.lower().startswith("bearer "):
        message = "The flow has no OAuth policy: call it by its signed URL."
        raise SimulatedPlatformError(401, "OAuthAccessPolicyNotFound", message)
    signature = call.query.get("sig")
    if signature is None:
        raise _build_authorization_required_error()
    if not hmac.compare_digest(signature.encode(), flow.compute_signature().encode()):
        message = "The authentication credentials are not valid."
        raise SimulatedPlatformError(401, "AuthorizationFailed", message)


def _require_token(tenant: Tenant, flow: Flow, call: TriggerCall) -> None:
    scheme, _, token = call.authorization.partition(" ")
    if scheme.lower() != "bearer":
        raise _build_authorization_required_error()
    try:
        caller = tenant.tokens.read(token)
    except ValueError as error:
        raise SimulatedPlatformError(401, "AuthorizationFailed", str(error)) from error
    if caller.audience != AUDIENCE or not _is_allowed(tenant, flow, caller):
        message = (
            "One or more claims either missing or does not match with the open authentication "
            "access control policy."
        )
        raise SimulatedPlatformError(403, "MisMatchingOAuthClaims", message)


def _is_allowed(tenant: Tenant, flow: Flow, caller: SimulatedCaller) -> bool:
    trigger = next(iter(flow.parse_properties()["definition"]["triggers"].values()))
    allowed = str((trigger.get("inputs") or {}).get("triggerAllowedUsers") or "").lower()
    if not allowed:
        return True
    principal = tenant.get_part(Directory).principals.get(caller.object_id)
    names = {caller.object_id.lower(), principal.upn.lower() if principal else ""}
    return not names.isdisjoint(re.split(r"[;,\s]+", allowed))


def _require_on(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow) -> None:
    if is_locked(tenant, environment):
        message = f"The environment '{environment.id}' is disabled."
        raise SimulatedPlatformError(403, "EnvironmentDisabled", message)
    if flow.state == SimulatedFlowState.STARTED:
        return
    is_deleted = flow.state == SimulatedFlowState.DELETED
    status = tenant.get_part(PowerPlatform).assumptions.deleted_flow_status if is_deleted else 400
    state = "Deleted" if is_deleted else "Disabled"
    message = (
        f"Could not execute workflow '{flow.name}' trigger '{flow.get_facts().trigger_name}' with "
        f"state '{state}': trigger is not enabled."
    )
    raise SimulatedPlatformError(status, "WorkflowTriggerIsNotEnabled", message)


def _build_authorization_required_error() -> SimulatedPlatformError:
    message = "The request must be authenticated: the OAuth authorization scheme is required."
    return SimulatedPlatformError(401, "DirectApiAuthorizationRequired", message)
