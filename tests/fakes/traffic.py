"""Simulate the systems that call flows and the events that start them, and find what was lost.

A call is lost if it is rejected, starts none or several runs, or if its run fails. Calls by a
system whose first call did not succeed are not counted as lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from tests.fakes.definitions import find_event_source, is_self_starting, is_webhook, parse_facts
from tests.fakes.flow_service import parse_recurrence
from tests.fakes.run_jobs import Outcome, call_url, find_urls, run_flow

if TYPE_CHECKING:
    from tests.fakes.tenant import FakeFlow
    from tests.fakes.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class UrlHolder:
    """A system that posts to the URL in a text, such as a setting, a secret or its own code."""

    name: str
    #: Returns the text as the system sees it now; it holds one trigger URL.
    read: Callable[[], str]

    def find_url(self) -> str | None:
        """Return the URL that the system would call now, or None if it has none."""
        return next(iter(find_urls(self.read())), None)

    def post(self, world: World) -> Outcome:
        url = self.find_url()
        return call_url(world, url) if url else Outcome(status=0, code="NoUrl")


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowStarter:
    """A person or an app that runs one flow by its id."""

    name: str
    environment_id: str
    workflow_id: str

    def post(self, world: World) -> Outcome:
        flow = world.get_environment(self.environment_id).flows[self.workflow_id]
        if not flow.is_on:
            return Outcome(status=400, code="WorkflowTriggerIsNotEnabled")
        return Outcome(status=202, runs=(run_flow(world, flow),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """A call by a system and its outcome, as the ledger keeps it. It contains no URL."""

    at: datetime
    system: str
    outcome: Outcome

    @property
    def is_good(self) -> bool:
        """Return whether the call was accepted and its only run succeeded."""
        return (
            self.outcome.is_accepted and len(self.outcome.runs) == 1 and not self.outcome.has_failed
        )


@dataclass(slots=True)
class Traffic:
    """All systems that call flows of a tenant, and a ledger of their calls."""

    systems: list[UrlHolder | FlowStarter] = field(default_factory=list)
    ledger: list[Posted] = field(default_factory=list)
    #: Source → its events, oldest first.
    events: dict[str, list[str]] = field(default_factory=dict)
    #: Event → `workflow_id`s of the flows that handled it.
    handled: dict[str, list[str]] = field(default_factory=dict)
    _first: dict[str, Posted] = field(default_factory=dict)

    def beat(self, world: World) -> None:
        """Let every system call once."""
        for system in self.systems:
            line = Posted(at=world.clock.now(), system=system.name, outcome=system.post(world))
            self._first.setdefault(system.name, line)
            self.ledger.append(line)

    @property
    def lost_calls(self) -> list[Posted]:
        """Return the lost calls. Those of a system whose first call did not succeed are omitted."""
        return [
            line for line in self.ledger if not line.is_good and self._first[line.system].is_good
        ]

    def emit(self, world: World, flow: FakeFlow) -> str:
        """Create an event of the source that starts `flow`. Return the event's name."""
        source = find_event_source(flow.client_data)
        if source is None:
            raise ValueError("the flow listens to nothing")
        events = self.events.setdefault(source, [])
        event = f"{len(self.events)}-{len(events)}"
        events.append(event)
        self.handled[event] = []
        for listener in list(world.list_flows()):
            hears = find_event_source(listener.client_data) == source and listener.is_on
            if hears and is_webhook(listener.client_data):
                self._handle_event(world, listener, event)
        return event

    def tick(self, world: World) -> None:
        """Run every self-starting flow that is on and has a schedule due or events to process."""
        for flow in list(world.list_flows()):
            if flow.is_on and is_self_starting(flow.client_data):
                self._run_due_flow(world, flow)

    def _run_due_flow(self, world: World, flow: FakeFlow) -> None:
        if parse_facts(flow.client_data).trigger_type == "Recurrence":
            if flow.next_run is None or flow.next_run <= world.clock.now():
                flow.next_run = world.clock.now() + parse_recurrence(flow.client_data)
                run_flow(world, flow)
        elif not is_webhook(flow.client_data):
            events = self.events.get(find_event_source(flow.client_data) or "", [])
            for event in events[flow.cursor :]:
                self._handle_event(world, flow, event)
            flow.cursor = len(events)

    def _handle_event(self, world: World, flow: FakeFlow, event: str) -> None:
        self.handled[event].append(flow.workflow_id)
        run_flow(world, flow)

    @property
    def events_handled_twice(self) -> list[str]:
        """Return the events that more than one run handled."""
        return [event for event, flows in self.handled.items() if len(flows) > 1]

    @property
    def unhandled_events(self) -> list[str]:
        """Return the events that no flow handled."""
        return [event for event, flows in self.handled.items() if not flows]
