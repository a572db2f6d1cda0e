"""Store what the demo shows while it runs: the state of tenant, app and traffic."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from local_cloud.demo.call_log import TrafficCallLog

type Json = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentLine:
    name: str
    link_status: str
    flows: int
    protected: int
    is_migrating: bool


@dataclass(slots=True)
class DemoProgress:
    """The demo's state, which the scenario and its watcher update, for the view."""

    #: Titles of the scenario's steps, in order, and how many are done.
    steps: tuple[str, ...] = ()
    done: int = 0
    #: What happened, oldest first: (seconds since the start, text).
    notes: list[tuple[float, str]] = field(default_factory=list)
    environments: list[EnvironmentLine] = field(default_factory=list)
    #: Flow jobs by (environment, original): the row as the app shows it.
    jobs: dict[tuple[str, str], Json] = field(default_factory=dict)
    account: TrafficCallLog = field(default_factory=TrafficCallLog)
    #: Calls of the traffic that are lost, and why.
    losses: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    listeners: list[Callable[[str], None]] = field(default_factory=list)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    def note(self, text: str) -> None:
        """Add a line about what happens now, and pass it to the listeners."""
        self.notes.append((self.seconds, text))
        for listener in self.listeners:
            listener(text)

    def count_states(self) -> Counter[str]:
        """Return the number of flow jobs in each state.

        A waiting job counts in the state in which it waits.
        """
        return Counter(
            job["step"] if job["state"] == "waiting" else job["state"] for job in self.jobs.values()
        )
