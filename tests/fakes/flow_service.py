"""Simulate the flow service: it saves flows, turns them on and off, deletes them, and signs their
URLs.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from urllib.parse import quote

from local_cloud.tenant.flows.saves import (
    build_reference_not_found_error,
    build_unpublished_row_error,
    find_first_operation,
    require_known_references,
    require_savable,
    without_references,
)
from shared.domain.flow import FlowState
from shared.errors import PlatformError, PlatformMigrationInProgress
from tests.fakes.definitions import (
    convert_tenant_errors,
    find_event_source,
    is_self_starting,
    parse_facts,
    parse_properties,
    require_valid,
)
from tests.fakes.records import Switch
from tests.fakes.tenant import FakeEnvironment, FakeFlow, FakeUser

if TYPE_CHECKING:
    from tests.fakes.traffic import Traffic
    from tests.fakes.world import World

_UNITS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800, "month": 2592000}


def require_no_platform_migration(world: World, environment: FakeEnvironment) -> None:
    """Raise `PlatformMigrationInProgress` if the environment is in a platform migration, which
    blocks writes.

    See platform.md#blocked-writes.
    """
    if environment.is_migrating:
        raise PlatformMigrationInProgress(
            "flows cannot be created or updated while the environment is migrated",
            code=world.assumptions.migration_blocked_code,
            status=world.assumptions.migration_blocked_status,
        )


def build_trigger_url(environment: FakeEnvironment, flow: FakeFlow) -> str:
    """Return the trigger URL of a flow, in one of the forms of platform.md#url-shapes."""
    facts = parse_facts(flow.client_data)
    path = _build_signed_path(flow)
    match flow.url_form:
        case "logic_apps":
            host, version = f"prod-93.{environment.region}.logic.azure.com", "2016-06-01"
        case "capacity_unit":
            host, version = build_environment_host(environment), "1"
            path = f"/powerautomate/automations/direct/cu/24{path}"
        case _:
            host, version = build_environment_host(environment), "1"
            path = f"/powerautomate/automations/direct{path}"
    signed = ""
    # tenant URLs carry no signature (platform.md#trigger-authentication)
    if facts.authentication == "All":
        permission = quote(f"/triggers/{facts.trigger_name}/run", safe="")
        signed = f"&sp={permission}&sv=1.0&sig={compute_signature(flow)}"
    return f"https://{host}:443{path}?api-version={version}{signed}"


def build_environment_host(environment: FakeEnvironment) -> str:
    """Return the host of an environment (platform.md#environment-host)."""
    bare = environment.id.replace("-", "").lower()
    return f"{bare[:-2]}.{bare[-2:]}.environment.api.powerplatform.com"


def compute_signature(flow: FakeFlow) -> str:
    """Return the signature of a trigger URL: an HMAC of the URL's path, in 43 characters.

    See platform.md#url-signature.
    """
    digest = hmac.digest(flow.access_key, _build_signed_path(flow).encode(), sha256)
    return urlsafe_b64encode(digest).decode().rstrip("=")


def _build_signed_path(flow: FakeFlow) -> str:
    facts = parse_facts(flow.client_data)
    name = quote(facts.trigger_name, safe="")
    path = f"/workflows/{flow.trigger_url_id}/triggers/{name}/paths/invoke"
    return f"{path}/{facts.relative_path.lstrip('/')}" if facts.relative_path else path


def save(world: World, flow: FakeFlow, client_data: str, actor: FakeUser) -> None:
    """Store a flow's definition.

    If the flow is on, `actor` must have access to each of its connections.
    """
    require_valid(client_data)
    with convert_tenant_errors():
        require_savable(world.assumptions, client_data)
        _require_savable_again(world, flow, client_data)
    environment = world.get_environment(flow.environment_id)
    if flow.is_on:
        _require_usable_connections(environment, flow, client_data, actor)
    with release_after_change(world, environment, flow):
        flow.client_data = client_data
    _read_variables(environment, flow)


@contextmanager
def release_after_change(
    world: World, environment: FakeEnvironment, flow: FakeFlow
) -> Iterator[None]:
    """Move a flow to your key if the change in this block removes its last reason to stay. Also
    moves the flow's parents if they have no other reason. An assumption can turn this off.
    """
    was_held = not flow.is_protected and has_microsoft_key_reason(environment, flow)
    yield
    has_key = environment.policy is not None and world.assumptions.edited_flows_migrate
    if not (has_key and was_held) or has_microsoft_key_reason(environment, flow):
        return
    for other in environment.list_live_flows():
        if not other.is_protected and not has_microsoft_key_reason(environment, other):
            move_under_key(world, other)


def move_under_key(world: World, flow: FakeFlow) -> None:
    """Move a flow to your key. Its earlier runs are no longer shown.

    See platform.md#earlier-runs.
    """
    if not flow.is_protected:
        flow.is_protected, flow.protected_since = True, world.clock.now()


def _require_savable_again(world: World, flow: FakeFlow, client_data: str) -> None:
    """Raise an error if the platform rejects every save of this flow, or rejects it temporarily.

    See platform.md#stamped-references, #unpublished-rows.
    """
    if flow.stamped_reference:
        raise build_reference_not_found_error(
            flow.stamped_reference, find_first_operation(client_data)
        )
    if flow.is_on and world.assumptions.unpublished_row_seconds:
        wait = timedelta(seconds=world.assumptions.unpublished_row_seconds)
        flow.saves_pass_from = flow.saves_pass_from or world.clock.now() + wait
        if world.clock.now() < flow.saves_pass_from:
            raise build_unpublished_row_error()


@contextmanager
def empty_references_when_rejected(world: World, flow: FakeFlow) -> Iterator[None]:
    """Empty the flow's connection references if the save in this block is rejected, as Dataverse
    may do.

    The version of the row does not change (platform.md#rejected-saves).
    """
    try:
        yield
    except PlatformError:
        emptied = without_references(flow.client_data)
        if world.assumptions.refused_saves_wipe_references and emptied is not None:
            world.let_reads_lag(flow)
            flow.client_data = emptied
            flow.references_wiped += 1
        raise


def turn_on(world: World, flow: FakeFlow, actor: FakeUser) -> None:
    """Turn a flow on as `actor`, or raise `PlatformError`.

    The flow may also stay off without an error.
    """
    if flow.is_on:
        return
    environment = world.get_environment(flow.environment_id)
    if actor is world.application and not world.assumptions.applications_activate:
        text = f"BapListServicePlansFailed: user details of '{actor.entra_id}' are missing."
        raise PlatformError(text, code="MissingUserDetails", status=400)
    with convert_tenant_errors():
        require_known_references(flow.client_data)
    _require_usable_connections(environment, flow, flow.client_data, actor)
    _require_licence(world, flow)
    _require_children(world, environment, flow)
    if _apply_data_policy(world, environment, flow):
        return
    if world.assumptions.activations_that_do_not_stick:
        world.assumptions.activations_that_do_not_stick -= 1
        return
    if not flow.was_ever_on and world.assumptions.activation_changes_flow_name:
        flow.flow_name = world.create_guid()
    used = _list_connection_names(environment, flow.client_data)
    flow.granted_connections |= {
        name
        for name in used
        if name in environment.connections
        and environment.connections[name].owner_id == actor.user_id
    }
    _read_variables(environment, flow)
    _start_listening(world, flow)
    _set_state(world, flow, FlowState.ON)
    flow.was_ever_on = True


def require_published(flow: FakeFlow) -> None:
    """Raise an error for a flow in a solution that was never on: the flow service cannot start it.

    See platform.md#unpublished-flows.
    """
    if flow.in_solution and not flow.was_ever_on:
        message = f"The flow '{flow.flow_name}' of a solution cannot be started: not published."
        raise PlatformError(message, code="CannotStartUnpublishedSolutionFlow", status=400)


def turn_off(world: World, flow: FakeFlow) -> None:
    """Turn a flow off. Its runs in progress continue (platform.md#turning-off)."""
    if flow.state is not FlowState.OFF:
        _set_state(world, flow, FlowState.OFF)


def delete(world: World, flow: FakeFlow) -> None:
    """Move a flow to the recycle bin and end its runs in progress (platform.md#turning-off)."""
    now = world.clock.now()
    turn_off(world, flow)
    for run in flow.runs:
        if run.ends > now:
            run.ends, run.failed, run.error = now, True, "ended by a delete"
    flow.is_deleted, flow.deleted_at = True, now


def has_microsoft_key_reason(environment: FakeEnvironment, flow: FakeFlow) -> bool:
    """Return whether the platform migration leaves the flow on Microsoft's key.

    See platform.md#flows-that-stay.
    """
    return _has_microsoft_key_reason(environment, flow, set())


def _has_microsoft_key_reason(environment: FakeEnvironment, flow: FakeFlow, seen: set[str]) -> bool:
    seen.add(flow.workflow_id)
    facts = parse_facts(flow.client_data)
    if facts.has_microsoft_key_reason(in_solution=flow.in_solution):
        return True
    children = [environment.flows.get(child) for child in facts.children if child not in seen]
    return any(
        not child.is_protected
        and not child.is_deleted
        and _has_microsoft_key_reason(environment, child, seen)
        for child in children
        if child is not None
    )


def count_events(traffic: Traffic, client_data: str) -> int:
    """Return how many events a flow's source has had so far."""
    return len(traffic.events.get(find_event_source(client_data) or "", []))


def parse_recurrence(client_data: str) -> timedelta:
    trigger = next(iter(parse_properties(client_data)["definition"]["triggers"].values()))
    rule = trigger["recurrence"]
    return timedelta(seconds=_UNITS[rule["frequency"].lower()] * rule["interval"])


def _start_listening(world: World, flow: FakeFlow) -> None:
    """Begin to receive events, or schedule the first run.

    A flow that is turned on for the first time ignores earlier events. A flow that was on before
    may process those that it missed.
    """
    if not is_self_starting(flow.client_data):
        return
    if parse_facts(flow.client_data).trigger_type == "Recurrence":
        # without a start time it runs at once (platform.md#recurrence-start)
        flow.next_run = world.clock.now()
    elif not flow.was_ever_on or not world.assumptions.polling_replays_backlog:
        flow.cursor = count_events(world.traffic, flow.client_data)


def _set_state(world: World, flow: FakeFlow, state: FlowState) -> None:
    flow.state = state
    last = max((run.started for run in flow.runs), default=None)
    world.switches.append(
        Switch(at=world.clock.now(), workflow_id=flow.workflow_id, state=state, last_run=last)
    )


def _read_variables(environment: FakeEnvironment, flow: FakeFlow) -> None:
    values = {one.schema_name: one.current for one in environment.variables.values()}
    flow.variables = {name: value for name, value in values.items() if value is not None}


def _list_connection_names(environment: FakeEnvironment, client_data: str) -> set[str]:
    """Return the connections to which a definition is bound.

    Raises `PlatformError` for an unbound reference.
    """
    names = set()
    for use in parse_facts(client_data).connections:
        if use.is_invokers:
            continue
        reference = environment.connection_references.get(use.logical_name or "")
        name = reference.connection_id if reference else use.connection_name
        if not name:
            raise PlatformError(
                "Connection Id missing for connection reference logical name "
                f"'{use.logical_name or use.key}'.",
                code="XrmConnectionReferenceMissingConnection",
                status=400,
            )
        names.add(name)
    return names


def _require_usable_connections(
    environment: FakeEnvironment, flow: FakeFlow, client_data: str, actor: FakeUser
) -> None:
    """Raise an error unless the acting user may use each connection of the definition.

    See platform.md#activation-check.
    """
    for name in sorted(_list_connection_names(environment, client_data)):
        connection = environment.connections.get(name)
        may_use = {connection.owner_id, *connection.shared_with} if connection else set()
        is_granted = actor.user_id in may_use or name in flow.granted_connections
        if connection and is_granted and not connection.error:
            continue
        connector = connection.connector if connection else re.sub(r"[-_]\d+$", "", name)
        raise PlatformError(
            f"The caller object id is '{actor.entra_id}'. Connection '{name}' to '{connector}' "
            "cannot be used to activate this flow.",
            code="ConnectionAuthorizationFailed",
            status=403,
        )


def _apply_data_policy(world: World, environment: FakeEnvironment, flow: FakeFlow) -> bool:
    """Return whether a data policy suspends the flow.

    Raises `PlatformError` if it rejects the activation.
    """
    used = {use.api for use in parse_facts(flow.client_data).connections}
    blocked = sorted(used & environment.blocked_connectors)
    if blocked and world.assumptions.data_policy_refuses_activation:
        apis = ", ".join(f"/providers/Microsoft.PowerApps/apis/{one}" for one in blocked)
        message = f"Admin data policy 'Tenant policy' restricts use of these apis: {apis}."
        raise PlatformError(message, code="DlpViolation", status=403)
    if blocked:
        _set_state(world, flow, FlowState.SUSPENDED)
    return bool(blocked)


def _require_licence(world: World, flow: FakeFlow) -> None:
    if parse_facts(flow.client_data).is_premium and not world.get_user(flow.owner_id).has_premium:
        raise PlatformError(
            "The user has no adequate licence.", code="MissingAdequateQuotaPolicy", status=403
        )


def _require_children(world: World, environment: FakeEnvironment, flow: FakeFlow) -> None:
    if not world.assumptions.children_must_be_on:
        return
    for child_id in parse_facts(flow.client_data).children:
        child = environment.flows.get(child_id)
        if child is flow and flow.was_ever_on:
            continue  # it is off while it is turned on
        if child is None or not child.is_on:
            raise PlatformError(
                f"The child flow '{child_id}' is not published.",
                code="ChildFlowNeverPublished",
                status=400,
            )
