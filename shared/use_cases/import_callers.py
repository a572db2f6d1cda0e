"""Declare the callers in a file.

Flows that the file does not name stay, so that a wrong line removes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.callers.declared_caller import CalledFlow, DeclaredCaller
from shared.domain.callers.secret_caller import format_secret
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import (
    Conflict,
    FlowNotFound,
    NotFound,
    PlatformError,
    ServiceUnavailable,
)
from shared.services import Services
from shared.use_cases.confirm_caller import index_declared_callers
from shared.use_cases.declare_callers import (
    list_declared_callers,
    store_declared_caller,
    with_flow_ids,
)
from shared.use_cases.name_flows import find_each_workflow_id

#: What a changed caller shows, by member.
_MEMBERS = {
    "owner": "owner",
    "contact": "contact",
    "max_url_length": "longest URL",
    "allowed_hosts": "hosts",
    "user_agent": "user agent",
    "networks": "networks",
    "authentication": "authentication",
    "notification": "notification",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedLine:
    """A line of a file, which declares a caller with one flow.

    The flow's id may still be a name.
    """

    line: int
    caller: DeclaredCaller


@dataclass(frozen=True, slots=True, kw_only=True)
class CallerChange:
    """What an import of the file would change about one caller."""

    before: DeclaredCaller | None
    after: DeclaredCaller
    #: One text for each change; empty: everything is declared already.
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPreview:
    """What an import of a file would change, and which of its lines are wrong."""

    changes: tuple[CallerChange, ...]
    #: Why a line is not used, by line.
    faults: Mapping[int, str]


async def preview_import(services: Services, lines: Sequence[ImportedLine]) -> ImportPreview:
    """Return what an import of these lines would change. Stores nothing."""
    faults: dict[int, str] = {}
    ids = await _find_flow_ids(services, lines, faults)
    before = {one.id: one for one in await list_declared_callers(services)}
    after = dict(before)
    users = {
        flow.new_url_secret.lower(): (caller.id, flow.id)
        for caller in before.values()
        for flow in caller.flows
        if flow.new_url_secret
    }
    for one in lines:
        if one.line in faults:
            continue
        [flow] = with_flow_ids(one.caller, ids).flows
        user, secret = (one.caller.id, flow.id), flow.new_url_secret
        if secret and users.setdefault(secret.lower(), user) != user:
            faults[one.line] = (
                f"The {format_secret(secret)} is for another flow or caller. Name another secret."
            )
            continue
        after[one.caller.id] = _add_flow(after.get(one.caller.id), one.caller, flow)
    imported = dict.fromkeys(one.caller.id for one in lines if one.line not in faults)
    return ImportPreview(
        changes=tuple(_build_caller_change(before.get(one), after[one]) for one in imported),
        faults=faults,
    )


async def import_callers(services: Services, lines: Sequence[ImportedLine]) -> list[DeclaredCaller]:
    """Store what these lines change, and return all declared callers.

    Raises `Conflict`, and stores nothing, if a line cannot be used.
    """
    preview = await preview_import(services, lines)
    if preview.faults:
        texts = "; ".join(f"line {line}: {text}" for line, text in sorted(preview.faults.items()))
        raise Conflict(f"Nothing was stored. Show the file again: {texts}")
    # Unchanged callers too: an interrupted import may have stored them and not indexed them.
    stored = [
        await store_declared_caller(services, one.after, keeps_others=True)
        for one in preview.changes
    ]
    before = [one.before for one in preview.changes if one.before]
    await index_declared_callers(services, before, stored)
    return await list_declared_callers(services)


async def _find_flow_ids(
    services: Services, lines: Iterable[ImportedLine], faults: dict[int, str]
) -> dict[tuple[str, str], str]:
    """Return the workflow id of each flow, by environment id and name or id.

    Adds unknown flows to `faults`.
    """
    named: dict[str, dict[int, str]] = defaultdict(dict)
    for one in lines:
        [flow] = one.caller.flows
        if flow.flow_id:
            named[flow.environment_id][one.line] = flow.flow_id
    found: dict[tuple[str, str], str] = {}
    for environment_id, by_line in named.items():
        try:
            names = dict.fromkeys(by_line.values())
            answers = await find_each_workflow_id(services, environment_id, names)
        except NotFound:
            missing = f"No environment has the id {environment_id}."
            faults |= dict.fromkeys(by_line, missing)
            continue
        except (PlatformError, ServiceUnavailable) as err:
            unread = f"The flows of {environment_id} cannot be read: {redact(str(err))}"
            faults |= dict.fromkeys(by_line, unread)
            continue
        for line, name in by_line.items():
            answer = answers[name]
            if isinstance(answer, FlowNotFound):
                faults[line] = str(answer)
            else:
                found[environment_id, name] = answer
    return found


def _add_flow(
    there: DeclaredCaller | None, caller: DeclaredCaller, flow: CalledFlow
) -> DeclaredCaller:
    others = [one for one in there.flows if one.id != flow.id] if there else []
    old = next((one for one in there.flows if one.id == flow.id), flow) if there else flow
    kept = replace(old, display_name=flow.display_name, new_url_secret=flow.new_url_secret)
    return replace(caller, flows=(*others, kept))


def _build_caller_change(before: DeclaredCaller | None, after: DeclaredCaller) -> CallerChange:
    known = {one.id: one for one in before.flows} if before else {}
    texts = []
    for flow in after.flows:
        name = flow.display_name or flow.trigger_url_id
        old = known.get(flow.id)
        if old is None:
            texts.append(f"adds the flow {name}")
        elif old.new_url_secret != flow.new_url_secret:
            where = format_secret(flow.new_url_secret) if flow.new_url_secret else "no secret"
            texts.append(f"writes the new URL of {name} into: {where}")
    for member, words in _MEMBERS.items() if before else ():
        if getattr(before, member) != getattr(after, member):
            texts.append(f"{words}: {_format_value(getattr(after, member))}")
    return CallerChange(before=before, after=after, texts=tuple(texts))


def _format_value(value: object) -> str:
    return (", ".join(value) if isinstance(value, tuple) else str(value or "")) or "none"
