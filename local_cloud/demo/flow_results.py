"""Determine how each flow ended, from the app's answers and from the tenant.

The tenant shows whether an original is off and its copy on, and to which flow a caller's URL leads.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from local_cloud.demo.app_client import App
from local_cloud.demo.platform import Platform
from local_cloud.demo.received_notifications import ReceivedNotification
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
from shared.domain.plans.plan_item import PlannedAction

type Json = dict[str, Any]

_WORKFLOW_ID = re.compile(r"/workflows/([0-9a-f]{32})/")
_COPIED = {action for action in PlannedAction if action.is_copy}
#: End states that require no action.
_DONE = {"moved", *(state for state, facts in FLOW_STATES.items() if facts.is_success)}


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowResult:
    """How one flow ended."""

    #: The planned action; `none` if no plan has the flow.
    action: str
    #: Why it stayed on Microsoft's key.
    reasons: tuple[str, ...]
    #: The job's state; without a job `needs_changes`, or `moved` by the platform.
    state: str
    #: The job's reason code.
    code: str
    #: `on`, `off` or `deleted`, as the tenant shows it.
    original: str
    #: `on`, `off`, or `none` without a copy.
    copy: str
    #: Whether the flow that works now is under the customer's key.
    is_protected: bool
    environment: str = ""
    title: str = ""
    was_on: bool = False
    category: str = ""
    explanation: str = ""
    fix: str = ""

    def build_expectation(self) -> Json:
        members = ("action", "reasons", "state", "code", "original", "copy", "is_protected")
        return {name: value for name, value in asdict(self).items() if name in members}


@dataclass(slots=True, kw_only=True)
class DemoResult:
    flows: list[FlowResult] = field(default_factory=list)
    callers: Counter[str] = field(default_factory=Counter)
    #: Firewall issues: name, missing addresses, action required, is it still blocking flows.
    gaps: list[Json] = field(default_factory=list)
    #: Scheduled deletions: flow, state, is it on Microsoft's list, number of archived runs.
    deletions: list[Json] = field(default_factory=list)
    #: Unknown callers that the app named: flow, label, claims, number of calls.
    unknown_callers: list[Json] = field(default_factory=list)
    #: All attempts to send a notification.
    messages: list[ReceivedNotification] = field(default_factory=list)
    recheck_at: str = ""
    #: The trace of one migrated flow (`FlowTrace`); empty: none was received.
    trace: Json = field(default_factory=dict)
    #: How often a job was delayed.
    waits: int = 0
    remediations: list[Json] = field(default_factory=list)
    #: What went wrong; empty if the demo succeeded.
    failures: list[str] = field(default_factory=list)

    @property
    def copied(self) -> int:
        """The number of flows for which a copy was planned."""
        return sum(flow.action in _COPIED for flow in self.flows)

    @property
    def prepared(self) -> int:
        """The number of flows that were prepared before the key and need no copy."""
        return sum(flow.state == "prepared" for flow in self.flows)


class ResultCollector:
    def __init__(self, platform: Platform, app: App, environments: dict[str, str]) -> None:
        """Create the collector; `environments` maps ids of environments to names."""
        self._platform = platform
        self._app = app
        self._environments = environments
        self._flows: dict[tuple[str, str], Json] = {}

    async def remember_flows(self) -> None:
        for environment in self._environments:
            for flow in await self._read_flows(environment):
                key = (environment, flow["workflowEntityId"])
                self._flows[key] = await self._read_flow(*key)

    async def read_results(self, jobs: dict[tuple[str, str], Json]) -> list[FlowResult]:
        """Return how each flow ended, given all flow jobs by environment and original."""
        planned = await self._read_planned_items()
        now: dict[tuple[str, str], Json] = {}
        for environment in self._environments:
            for flow in await self._read_flows(environment):
                now[environment, flow["workflowEntityId"]] = flow
        return [
            _build_result(
                _Sighting(
                    environment=self._environments[key[0]],
                    before=flow,
                    original=now.get(key, {}),
                    copy=now.get((key[0], jobs[key]["copy_id"])) if key in jobs else None,
                ),
                item=planned.get(key),
                job=jobs.get(key),
            )
            for key, flow in self._flows.items()
        ]

    async def find_lost_ownership(self, jobs: dict[tuple[str, str], Json]) -> list[str]:
        lost = []
        for (environment, flow), before in self._flows.items():
            job = jobs.get((environment, flow))
            if job and job["state"] == FlowJobState.RETIRED:
                lost += compare_ownership(
                    before, await self._read_flow(environment, job["copy_id"])
                )
        return lost

    async def count_changed_callers(self, jobs: dict[tuple[str, str], Json]) -> Counter[str]:
        """Count the flows that call other trigger URLs than before, and the changed variables.

        Flows with a flow job, and variables that only they use, are not counted.
        """
        changed: Counter[str] = Counter()
        variables: set[tuple[str, str]] = set()
        for key, before in self._flows.items():
            if key in jobs or not before["savedVariables"] | _find_trigger_ids(
                before["clientData"]
            ):
                continue
            after = await self._read_flow(*key)
            changed["flow"] += _find_trigger_ids(before["clientData"]) != _find_trigger_ids(
                after["clientData"]
            )
            for name, value in before["savedVariables"].items():
                if after["savedVariables"].get(name) != value:
                    variables.add((key[0], name))
        changed["environment variable"] = len(variables)
        return changed

    async def _read_planned_items(self) -> dict[tuple[str, str], Json]:
        found: dict[tuple[str, str], Json] = {}
        listed = (await self._app.get("remediations"))["items"]
        for line in reversed(listed):
            plans = await self._app.get(f"remediations/{line['remediation']['id']}/plan")
            for plan in plans["items"]:
                environment = plan["environment_job"]["environment_id"]
                for item in plan["items"]:
                    key = (environment, item["workflow_id"])
                    known = found.get(key)
                    if known is None or _compute_weight(item) > _compute_weight(known):
                        found[key] = item
        return found

    async def _read_flows(self, environment: str) -> list[Json]:
        flows: list[Json] = await self._platform.call_control(
            "GET", f"/environments/{environment}/flows"
        )
        return [flow for flow in flows if flow["state"] != "Deleted"]

    async def _read_flow(self, environment: str, flow: str) -> Json:
        found: Json = await self._platform.call_control(
            "GET", f"/environments/{environment}/flows/{flow}"
        )
        return found


def compare_ownership(original: Json, copy: Json) -> list[str]:
    """Return a text for each difference in owner, co-owners, description or solutions."""
    # Dataverse adds flows to the solution Default automatically.
    kept = original | {"solutions": [one for one in original["solutions"] if one != "Default"]}
    return [
        f"{original['displayName']}: {name} of its copy is {copy[name]!r}, not {kept[name]!r}"
        for name in ("owner", "description", "coOwners", "solutions")
        if copy[name] != kept[name]
    ]


def _find_trigger_ids(client_data: str) -> dict[str, None]:
    return dict.fromkeys(_WORKFLOW_ID.findall(client_data))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sighting:
    environment: str
    before: Json
    original: Json
    copy: Json | None


def _build_result(seen: _Sighting, *, item: Json | None, job: Json | None) -> FlowResult:
    original, copy = seen.original, seen.copy
    takes_over = copy if job and job["state"] == FlowJobState.RETIRED else None
    works = takes_over or original
    return FlowResult(
        environment=seen.environment,
        title=seen.before["displayName"],
        was_on=_format_state(seen.before) == "on",
        action=item["action"] if item else "none",
        reasons=tuple(item["microsoft_key_reasons"]) if item else (),
        category=item["category"] if item else "",
        state=_find_state(item, job, original),
        code=job["reason_code"] if job else "",
        original=_format_state(original),
        copy=_format_state(copy) if copy else "none",
        is_protected=bool(works.get("isProtected")),
        explanation=_find_explanation(item, job),
        fix=(job or {}).get("fix") or (item or {}).get("fix", ""),
    )


def _compute_weight(item: Json) -> int:
    return 2 if PlannedAction(item["action"]).is_work else int(item["action"] == "needs_changes")


def _find_state(item: Json | None, job: Json | None, original: Json) -> str:
    if job:
        return str(job["state"])
    if item:
        return str(item["action"])
    return "moved" if original.get("isProtected") else "left"


def _find_explanation(item: Json | None, job: Json | None) -> str:
    if job and job["state"] == FlowJobState.PREPARED:
        return "The flow was prepared before the key, and the platform moved it."
    return str((job or {}).get("message") or (item or {}).get("message", ""))


def _format_state(flow: Json) -> str:
    if not flow:
        return "deleted"
    return "on" if flow.get("state") == "Started" else "off"


def find_flows_left_off(ends: Sequence[FlowResult]) -> list[str]:
    """Return a text for each flow that was on, if neither it nor a copy is on now."""
    return [
        f"{end.environment} / {end.title}: Original and copy are both off. {end.explanation}"
        for end in ends
        if end.was_on and "on" not in {end.original, end.copy}
    ]


def find_unexplained_ends(ends: Sequence[FlowResult]) -> list[str]:
    """Return a text for each unsuccessful flow whose end the app does not explain."""
    found = []
    for end in ends:
        if end.state in _DONE:
            continue
        match end.state:
            case "blocked" | "needs_changes" if end.fix:
                continue
            case "failed" if end.explanation:
                continue
        found.append(f"{end.environment} / {end.title}: {end.state} {end.explanation}".rstrip())
    return found


def find_differences(ends: Sequence[FlowResult], expected: dict[str, dict[str, Json]]) -> list[str]:
    """Return a text for each difference between actual and expected ends.

    `expected` contains the expected end by environment and title.
    """
    found = []
    seen: dict[str, set[str]] = {name: set() for name in expected}
    for end in ends:
        wanted = expected.get(end.environment, {}).get(end.title)
        if wanted is None:
            found.append(f"{end.environment} / {end.title}: expected_ends.json does not contain it")
            continue
        seen[end.environment].add(end.title)
        for name, value in end.build_expectation().items():
            is_equal = list(value) == wanted[name] if name == "reasons" else value == wanted[name]
            if not is_equal:
                text = f"{name} is {value!r}, expected {wanted[name]!r}"
                found.append(f"{end.environment} / {end.title}: {text}. {end.explanation}")
    for environment, flows in expected.items():
        missing = sorted(flows.keys() - seen[environment])
        found += [f"{environment} / {title}: not there" for title in missing]
    return found
