"""Simulate calls to trigger URLs and runs of flows, with the calls that the runs make."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote, urlsplit

from tests.fakes.definitions import list_http_targets, parse_facts
from tests.fakes.egress import find_denying_firewall
from tests.fakes.flow_service import build_trigger_url, compute_signature
from tests.fakes.tenant import FakeFlow, FakeRun

if TYPE_CHECKING:
    from tests.fakes.world import World

_PATH = re.compile(r"/workflows/([0-9a-f]{32})/triggers/([^/]+)/paths/invoke(?:/|$)")
_URL = re.compile(r"https://[^\s\"'<>;,\\]+/paths/invoke[^\s\"'<>;,\\]*")
_DEEPEST = 8  # the platform's own limit of nested child flows


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The answer to one call to a flow, and the run that the call started."""

    status: int
    #: The platform's code of a refusal; empty where it was accepted.
    code: str = ""
    runs: tuple[FakeRun, ...] = ()

    @property
    def is_accepted(self) -> bool:
        """Return whether the caller got a status below 400."""
        return self.status < 400

    @property
    def has_failed(self) -> bool:
        return any(run.failed for run in self.runs)


def find_urls(text: str) -> list[str]:
    return _URL.findall(text)


def find_flow(world: World, url: str) -> tuple[FakeFlow | None, Outcome | None]:
    """Return the flow that a URL names, and the error, if any, that a call to the URL would get.

    See platform.md#trigger-answers.
    """
    parts = urlsplit(url)
    match = _PATH.search(unquote(parts.path))
    flow = world.flows_by_url_id.get(match[1]) if match else None
    if match is None or flow is None:
        return None, Outcome(status=404, code="WorkflowNotFound")
    environment = world.get_environment(flow.environment_id)
    own = urlsplit(build_trigger_url(environment, flow))
    if flow.is_deleted:
        status = world.assumptions.deleted_flow_status
        return flow, Outcome(status=status, code="WorkflowTriggerIsNotEnabled")
    if parts.hostname != own.hostname or match[2] != parse_facts(flow.client_data).trigger_name:
        return flow, Outcome(status=404, code="WorkflowNotFound")
    given = parse_qs(parts.query).get("sig", [""])[0]
    if "sig=" in own.query and given != compute_signature(flow):
        code = "AuthorizationFailed" if given else "DirectApiAuthorizationRequired"
        return flow, Outcome(status=401, code=code)
    if not flow.is_on:
        return flow, Outcome(status=400, code="WorkflowTriggerIsNotEnabled")
    return flow, None


def call_url(world: World, url: str, *, depth: int = 0) -> Outcome:
    """Post to a URL. An accepted call starts a run, and a rejected one starts none."""
    flow, refusal = find_flow(world, url)
    if refusal or flow is None:
        return refusal or Outcome(status=404, code="WorkflowNotFound")
    run = run_flow(world, flow, depth=depth, trigger_url_id=flow.trigger_url_id)
    if not parse_facts(flow.client_data).has_response:
        return Outcome(status=202, runs=(run,))
    return Outcome(status=502 if run.failed else 200, runs=(run,))


def run_flow(
    world: World, flow: FakeFlow, *, depth: int = 0, trigger_url_id: str | None = None
) -> FakeRun:
    """Run a flow, with its child flows and HTTP actions. The run fails if one of them fails."""
    now = world.clock.now()
    run = FakeRun(
        run_id=f"08584{world.random.randrange(10**27):027d}CU24",
        started=now,
        ends=now + flow.run_duration,
        trigger_url_id=trigger_url_id,
    )
    flow.runs.append(run)
    run.error = _find_child_error(world, flow, depth)
    if not run.error:
        run.failed_action, run.error = _find_http_error(world, flow, depth)
    run.failed = bool(run.error)
    return run


def _find_child_error(world: World, flow: FakeFlow, depth: int) -> str:
    environment = world.get_environment(flow.environment_id)
    for child_id in parse_facts(flow.client_data).children:
        child = environment.flows.get(child_id)
        if child is None or not child.is_on or depth >= _DEEPEST:
            return f"the child flow {child_id} could not be run"
        if run_flow(world, child, depth=depth + 1).failed:
            return f"the child flow {child_id} failed"
    return ""


def _find_http_error(world: World, flow: FakeFlow, depth: int) -> tuple[str, str]:
    """Return the first HTTP action that fails, with its error, or two empty texts."""
    for name, uri in list_http_targets(flow.client_data, flow.variables):
        if firewall := find_denying_firewall(world, flow, urlsplit(uri).hostname or ""):
            # The text a refused run shows (platform.md#denied-calls).
            return name, f"{firewall}: the target machine actively refused it"
        if find_urls(uri):
            outcome = (
                call_url(world, uri, depth=depth + 1) if depth < _DEEPEST else Outcome(status=508)
            )
            if not outcome.is_accepted:
                return name, f"{name}: {outcome.status} {outcome.code}"
    return "", ""
