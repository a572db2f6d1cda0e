"""Whether the app can work: its store and its broker answer, and what waits there for a person."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from datetime import datetime

from shared.circuits import open_circuits
from shared.domain.circuit import Circuit
from shared.domain.jobs.flow_states import FLOW_STATES
from shared.errors import UnreadableRow
from shared.ports import Condition
from shared.reason import Reason
from shared.services import PARKED, Services
from shared.use_cases.remediation_rows import Reading
from shared.use_cases.sweep import QUEUES, SWEEP
from shared.use_cases.switch_writes import kill_switch

_STUCK = tuple(state for state, facts in FLOW_STATES.items() if facts.is_stuck)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """What an administrator looks at first."""

    kill_switch_on: bool
    #: Messages that nobody could read.
    parked: int
    #: Messages the broker gave up on, by queue.
    dead_letters: dict[str, int]
    #: Rows that need a person, of which people were told, by code.
    notices: dict[str, int]
    #: Services that are out: jobs wait for them, and go on by themselves.
    outages: tuple[Circuit, ...]
    #: Plans that wait for an approval, and jobs that are blocked or failed.
    plans_waiting: int
    stuck: int
    #: When the last daily sweep came to its end; None: none has yet.
    last_sweep: datetime | None


async def check_health(services: Services) -> Health:
    """Return what waits for a person; raises `Transient` where store or broker do not answer."""
    switch = await kill_switch(services)
    parked, *dead = await asyncio.gather(
        services.messages.count(PARKED),
        *(services.messages.count(queue, dead_letters=True) for queue in QUEUES),
    )
    swept = await services.tables.timer_runs.get("timer", SWEEP)
    reading = Reading()
    environment_jobs = await reading.all(services.tables.environment_jobs.scan())
    stuck = sum(job.is_stuck for job in environment_jobs)
    for state in _STUCK:
        where = [Condition("state", "eq", state)]
        stuck += len(await reading.all(services.tables.jobs.scan(where=where)))
    rows = [row async for row in services.tables.notices.scan("notice")]
    told = Counter(
        Reason.UNREADABLE_ROW if isinstance(row, UnreadableRow) else row.item.code for row in rows
    )
    return Health(
        kill_switch_on=switch is not None and switch.is_on,
        parked=parked,
        dead_letters=dict(zip(QUEUES, dead, strict=True)),
        notices=dict(sorted(told.items(), key=lambda one: (one[0] != Reason.NEITHER_ON, one[0]))),
        outages=tuple(await open_circuits(services.tables)),
        plans_waiting=sum(job.awaits_approval for job in environment_jobs),
        stuck=stuck,
        last_sweep=swept.item.ended if swept else None,
    )
