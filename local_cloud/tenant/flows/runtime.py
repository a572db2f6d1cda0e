"""Run flows, with only the actions that show whether a call does its work.

`Http`, child flows (`Workflow`) and `Response` are executed in the order of the definition, inside
scopes, loops (once) and the first branch of conditions. Other actions succeed without an effect. No
request leaves the tenant: a call to a trigger URL reaches its flow, and a call to any other host is
accepted or denied according to the network rules of the host.
"""

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local_cloud.tenant.azure.reachability import FlowOrigin, find_denial
from local_cloud.tenant.azure.state import Azure
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.environments.environment import SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow, Run, SimulatedFlowState
from local_cloud.tenant.flows.call_history import CallHistory, CallHistoryEntry, RunStartKind
from local_cloud.tenant.flows.run_contents import build_trigger_outputs
from local_cloud.tenant.flows.trigger_calls import CALL_PATH, TriggerCall, admit_call

#: How deep flows may call each other.
_DEPTH = 20
_PARAMETER = re.compile(r"@\{?parameters\('((?:[^']|'')+)'\)\}?")
_NESTING = frozenset({"scope", "foreach", "until", "if"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What starts a run: its cause, and the call if there was one."""

    cause: RunStartKind
    by: str
    tracking_id: str = ""
    depth: int = 0
    #: Of the call; None: nobody called.
    headers: Mapping[str, str] | None = None
    body: bytes = b""


@dataclass(slots=True, kw_only=True)
class _Execution:
    """A run in progress, with the definition at its start, which a later save does not change."""

    environment: SimulatedEnvironment
    flow: Flow
    run: Run
    definition: dict[str, Any]
    variables: dict[str, str]
    depth: int
    response: dict[str, Any] | None = None


@dataclass(slots=True)
class Runtime:
    """The runs in progress, whose actions are executed when their duration has passed."""

    pending: list[_Execution] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    run: Run
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)


def call_url(tenant: Tenant, call: TriggerCall, start: Start) -> Answer:
    """Call a trigger URL, and record the call. Raises `SimulatedPlatformError` for a rejection."""
    try:
        environment, flow = admit_call(tenant, call)
    except SimulatedPlatformError as error:
        _record_refusal(tenant, call, start, error)
        raise
    execution = _begin_run(tenant, environment, flow, start)
    run = execution.run
    headers = {"x-ms-workflow-run-id": run.name, "x-ms-client-tracking-id": run.client_tracking_id}
    if not flow.get_facts().has_response:
        return Answer(status=202, run=run, headers=headers)
    if execution.response is None:
        raise SimulatedPlatformError(
            502, "NoResponse", "The server did not receive a response from an upstream server."
        )
    return Answer(
        status=int(execution.response.get("statusCode", 200)),
        run=run,
        body=execution.response.get("body"),
        headers=headers,
    )


def start_run(tenant: Tenant, environment: SimulatedEnvironment, flow: Flow, start: Start) -> Run:
    return _begin_run(tenant, environment, flow, start).run


def complete_due_runs(tenant: Tenant) -> None:
    """Execute the actions of all runs whose duration has passed, except cancelled runs."""
    runtime, now = tenant.get_part(Runtime), tenant.clock.now()
    due = [execution for execution in runtime.pending if execution.run.ends <= now]
    runtime.pending = [execution for execution in runtime.pending if execution.run.ends > now]
    for execution in due:
        if execution.run.outcome != "Cancelled":
            _execute_actions(tenant, execution)


def _begin_run(
    tenant: Tenant, environment: SimulatedEnvironment, flow: Flow, start: Start
) -> _Execution:
    now = tenant.clock.now()
    definition = flow.parse_properties()["definition"]
    trigger = next(iter(definition["triggers"].values()))
    run = Run(
        name=build_run_name(now),
        started=now,
        ends=now + timedelta(seconds=flow.run_seconds),
        trigger_name=flow.get_facts().trigger_name,
        client_tracking_id=start.tracking_id or f"{secrets.token_hex(13).upper()}CU24",
        trigger_outputs=None
        if start.headers is None
        else build_trigger_outputs(trigger, start.headers, start.body),
    )
    flow.add_run(run)
    _record_call(tenant, environment, flow, start, run)
    execution = _Execution(
        environment=environment,
        flow=flow,
        run=run,
        definition=definition,
        variables=dict(flow.saved_variables),
        depth=start.depth,
    )
    if flow.run_seconds > 0 and not flow.get_facts().has_response:
        tenant.get_part(Runtime).pending.append(execution)
    else:
        _execute_actions(tenant, execution)
    return execution


def build_run_name(now: datetime) -> str:
    """Return the name of a new run. The names of later runs sort first, as on the platform."""
    ticks = int(now.timestamp() * 10_000_000) + 621_355_968_000_000_000
    return f"{9_223_372_036_854_775_807 - ticks:020d}{secrets.randbelow(10**9):09d}CU24"


def _execute_actions(tenant: Tenant, execution: _Execution) -> None:
    failed = _perform_all(tenant, execution, execution.definition.get("actions") or {})
    if failed:
        execution.run.outcome = "Failed"
        execution.run.error = {
            "code": "ActionFailed",
            "message": "An action failed. No dependent actions succeeded.",
        }


def _perform_all(tenant: Tenant, execution: _Execution, actions: dict[str, Any]) -> bool:
    """Perform actions until one fails. Return whether one has failed."""
    for name, action in actions.items():
        kind = str(action.get("type")).lower()
        if kind in _NESTING:
            if _perform_all(tenant, execution, action.get("actions") or {}):
                return True
            continue
        error = _perform_action(tenant, execution, kind, action)
        status = "Failed" if error else "Succeeded"
        record: dict[str, Any] = {"status": status, "code": error["code"] if error else "OK"}
        execution.run.actions[name] = record | ({"error": error} if error else {})
        if error:
            return True
    return False


def _perform_action(
    tenant: Tenant, execution: _Execution, kind: str, action: dict[str, Any]
) -> dict[str, str] | None:
    """Perform an action. Return its error, or None if it succeeds."""
    inputs = action.get("inputs")
    if not isinstance(inputs, dict):
        return None
    match kind:
        case "http":
            return _perform_call(
                tenant, execution, _resolve_parameters(execution, str(inputs.get("uri") or ""))
            )
        case "workflow":
            return _call_child(tenant, execution, inputs["host"]["workflowReferenceName"])
        case "response":
            execution.response = inputs
    return None


def _resolve_parameters(execution: _Execution, text: str) -> str:
    """Replace each `parameters('…')` in a text with its value at the last save."""
    parameters = execution.definition.get("parameters") or {}

    def format_value(match: re.Match[str]) -> str:
        name = match[1].replace("''", "'")
        default = (parameters.get(name) or {}).get("defaultValue")
        return str(execution.variables.get(name, default))

    return _PARAMETER.sub(format_value, text)


def _perform_call(tenant: Tenant, execution: _Execution, uri: str) -> dict[str, str] | None:
    parts = urlsplit(uri)
    if parts.scheme not in ("http", "https"):
        return None  # an expression that only a real run could resolve
    if match := CALL_PATH.fullmatch(parts.path):
        call = TriggerCall(
            host=parts.hostname or "",
            workflow_id=match["workflow"],
            trigger=match["trigger"],
            query=dict(parse_qsl(parts.query)),
        )
        return _call_flow(tenant, execution, call)
    environment, now = execution.environment, tenant.clock.now()
    origin = FlowOrigin(
        region=environment.azure_region, is_protected=execution.flow.is_protected(now)
    )
    refusal = find_denial(tenant.get_part(Azure), parts.hostname or "", origin, parts.port or 443)
    return {"code": "BadRequest", "message": refusal.message} if refusal else None


def _call_flow(tenant: Tenant, execution: _Execution, call: TriggerCall) -> dict[str, str] | None:
    try:
        start = _build_start(execution, RunStartKind.URL)
        answer = call_url(tenant, call, start)
    except SimulatedPlatformError as error:
        return {"code": error.code, "message": error.message}
    if answer.status >= 400:
        return {"code": str(answer.status), "message": "The called flow answered with an error."}
    return None


def _call_child(tenant: Tenant, execution: _Execution, reference: str) -> dict[str, str] | None:
    child = execution.environment.workflows.get(reference.lower().strip("{}"))
    if child is None or child.state != SimulatedFlowState.STARTED:
        message = f"The child flow '{reference}' is not found or not turned on."
        return {"code": "ChildFlowNotAvailable", "message": message}
    start = _build_start(execution, RunStartKind.PARENT)
    if start.depth > _DEPTH:
        return {"code": "NestedTooDeep", "message": "Flows call each other without an end."}
    start_run(tenant, execution.environment, child, start)
    return None


def _build_start(execution: _Execution, cause: RunStartKind) -> Start:
    if execution.depth >= _DEPTH:
        raise SimulatedPlatformError(429, "NestedTooDeep", "Flows call each other without an end.")
    return Start(
        cause=cause,
        by=f"flow:{execution.flow.name}",
        tracking_id=execution.run.client_tracking_id,
        depth=execution.depth + 1,
        headers=_build_headers(execution),
    )


def _build_headers(execution: _Execution) -> dict[str, str]:
    """Return the headers with which a flow's calls name the flow (platform.md#trigger-outputs)."""
    flow, run = execution.flow, execution.run
    version = f"(workflow {flow.workflow_id}; version {run.name[:20]})"
    environment_id = execution.environment.id.replace("-", "").upper()
    return {
        "user-agent": f"azure-logic-apps/1.0,{version}",
        "x-ms-client-tracking-id": run.client_tracking_id,
        "x-ms-workflow-id": flow.workflow_id,
        "x-ms-workflow-name": flow.name,
        "x-ms-workflow-resourcegroup-name": f"{'0' * 32}-{environment_id[-32:]}",
        "x-ms-workflow-run-id": run.name,
    }


def _record_call(
    tenant: Tenant, environment: SimulatedEnvironment, flow: Flow, start: Start, run: Run
) -> None:
    tenant.get_part(CallHistory).entries.append(
        CallHistoryEntry(
            at=run.started,
            cause=start.cause,
            by=start.by,
            tracking_id=start.tracking_id,
            environment=environment.id,
            workflow_id=flow.workflow_id,
            flow=flow.name,
            status=202,
            run=run,
        )
    )


def _record_refusal(
    tenant: Tenant, call: TriggerCall, start: Start, error: SimulatedPlatformError
) -> None:
    tenant.get_part(CallHistory).entries.append(
        CallHistoryEntry(
            at=tenant.clock.now(),
            cause=start.cause,
            by=start.by,
            tracking_id=start.tracking_id,
            environment="",
            workflow_id=call.workflow_id,
            flow="",
            status=error.status,
            code=error.code,
        )
    )
