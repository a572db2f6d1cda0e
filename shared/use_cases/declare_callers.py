"""Store the callers that people declare, so that remediations wait for them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.alerts import read_readable
from shared.domain.callers.declared_caller import DECLARED_CALLER, DeclaredCaller
from shared.domain.callers.secret_caller import format_secret
from shared.errors import FlowNotFound, JobBlocked, NotFound, UnreadableRow
from shared.reason import Reason
from shared.services import Services
from shared.use_cases.confirm_caller import (
    index_declared_callers,
    read_declared_caller,
    read_jobs_of_called_flow,
    require_calls_ended,
    retry_jobs_blocked_by_callers,
)
from shared.use_cases.name_flows import require_workflow_ids


async def list_declared_callers(services: Services) -> list[DeclaredCaller]:
    """Return the declared callers, ordered by name. Sends alerts about unreadable rows."""
    rows = read_readable(services, services.tables.declared_callers.scan(DECLARED_CALLER))
    return sorted([kept.item async for kept in rows], key=lambda one: one.name.casefold())


async def declare_callers(
    services: Services, declared: Sequence[DeclaredCaller]
) -> list[DeclaredCaller]:
    """Store callers in place of those with the same name, with the ids of their flows.

    Each `flow_id` may be an id or a name. Confirmations of flows that stay are kept. Raises
    `NotFound` for an unknown environment, and `FlowNotFound` with candidates for an unknown flow.
    Raises `JobBlocked` if a flow that a caller no longer names still receives calls, or if a secret
    would hold several URLs.
    """
    ids = await _find_flow_ids(services, declared)
    before = {one.id: one for one in await list_declared_callers(services)}
    found = [with_flow_ids(caller, ids) for caller in declared]
    for caller in found:
        if old := before.get(caller.id):
            await require_calls_ended(services, old, but_not=caller.flows)
    _require_own_secrets([*{**before, **{one.id: one for one in found}}.values()])
    found = [await store_declared_caller(services, caller) for caller in found]
    await index_declared_callers(
        services, [before[one.id] for one in found if one.id in before], found
    )
    return found


def _require_own_secrets(callers: Sequence[DeclaredCaller]) -> None:
    """Raise `JobBlocked` if several flows or callers share a secret."""
    users: dict[str, list[str]] = defaultdict(list)
    for caller in callers:
        for flow in caller.flows:
            if flow.new_url_secret:
                users[flow.new_url_secret.lower()].append(caller.name)
    shared = {secret: names for secret, names in users.items() if len(names) > 1}
    if shared:
        secret, names = min(shared.items())
        raise JobBlocked(
            f"The {format_secret(secret)} would hold several URLs, of: {', '.join(names)}. Nothing "
            "was stored.",
            fix="Name another secret for each caller and flow, which only that caller may read.",
            code=Reason.MANUAL_CALLER,
        )


async def store_declared_caller(
    services: Services, caller: DeclaredCaller, *, keeps_others: bool = False
) -> DeclaredCaller:
    """Store a caller, with the confirmations that its row has now, and return it.

    With `keeps_others`, other flows that the row has now stay.
    """

    def build_stored_caller(old: DeclaredCaller | None) -> DeclaredCaller:
        known = {one.id for one in caller.flows}
        others = [one for one in old.flows if one.id not in known] if old and keeps_others else []
        return _with_known_confirmations(replace(caller, flows=(*caller.flows, *others)), old)

    try:
        stored = await services.tables.declared_callers.change(
            DECLARED_CALLER, caller.id, build_stored_caller
        )
    except UnreadableRow:
        await services.tables.declared_callers.upsert(caller)
        return caller
    return stored.item if stored else caller


def with_flow_ids(caller: DeclaredCaller, ids: Mapping[tuple[str, str], str]) -> DeclaredCaller:
    """Return a caller with the ids of its flows in place of names, each flow once."""
    flows = [
        replace(
            flow,
            flow_id=ids.get((flow.environment_id, flow.flow_id), ""),
            display_name=flow.flow_id,
        )
        for flow in caller.flows
    ]
    return replace(caller, flows=tuple({one.id: one for one in flows}.values()))


def _with_known_confirmations(caller: DeclaredCaller, old: DeclaredCaller | None) -> DeclaredCaller:
    known = {flow.id: flow for flow in old.flows} if old else {}
    return replace(
        caller,
        flows=tuple(
            replace(
                known.get(one.id, one),
                display_name=one.display_name,
                new_url_secret=one.new_url_secret,
            )
            for one in caller.flows
        ),
    )


async def declare_called_flow(services: Services, declared: DeclaredCaller) -> list[DeclaredCaller]:
    """Store a caller with one flow, and return all declared callers.

    If a caller with this name exists, its other flows stay. Raises `NotFound`, `FlowNotFound` and
    `JobBlocked` as `declare_callers` does.
    """
    kept = await services.tables.declared_callers.get(DECLARED_CALLER, declared.id)
    others = kept.item.flows if kept else ()
    named = await _find_flow_ids(services, [declared])
    [new] = with_flow_ids(declared, named).flows
    flows = (*(one for one in others if one.id != new.id), new)
    found = replace(declared, flows=flows)
    _require_own_secrets(
        [*(one for one in await list_declared_callers(services) if one.id != found.id), found]
    )
    stored = await store_declared_caller(services, found)
    await index_declared_callers(services, [kept.item] if kept else [], [stored])
    return await list_declared_callers(services)


async def remove_declared_caller(services: Services, name: str) -> None:
    """Remove a declared caller, and retry the jobs that it blocks.

    Raises `NotFound` if there is none, and `JobBlocked` if a flow that it calls still receives
    calls.
    """
    kept = await read_declared_caller(services, name)
    await require_calls_ended(services, kept.item)
    jobs = [
        job for flow in kept.item.flows for job in await read_jobs_of_called_flow(services, flow)
    ]
    await services.tables.declared_callers.delete(kept)
    await index_declared_callers(services, [kept.item], [])
    await retry_jobs_blocked_by_callers(services, jobs)


async def _find_flow_ids(
    services: Services, declared: Sequence[DeclaredCaller]
) -> dict[tuple[str, str], str]:
    callers: dict[str, set[str]] = defaultdict(set)
    flows: dict[str, set[str]] = defaultdict(set)
    for caller in declared:
        for flow in caller.flows:
            if flow.flow_id:
                callers[flow.environment_id].add(caller.name)
                flows[flow.environment_id].add(flow.flow_id)
    found: dict[tuple[str, str], str] = {}
    for environment_id, wanted in flows.items():
        try:
            environment = await services.environments.get(environment_id)
            ids = await require_workflow_ids(services, [environment], wanted)
        except FlowNotFound as err:
            message = f"{err} {_format_callers(callers[environment_id])}"
            raise FlowNotFound(message, candidates=err.candidates) from err
        except NotFound as err:
            message = f"No environment has the id {environment_id}."
            raise NotFound(f"{message} {_format_callers(callers[environment_id])}") from err
        found |= {(environment_id, name): identity for name, identity in ids.items()}
    return found


def _format_callers(names: set[str]) -> str:
    return f"Nothing was stored. Callers of flows there: {', '.join(sorted(names))}."
