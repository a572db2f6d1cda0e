from dataclasses import dataclass, field, replace
from datetime import timedelta

from shared.domain.environment import ApprovalPolicy
from shared.domain.jobs.flow_states import FlowJobState
from shared.domain.jobs.wake_up import WakeUp
from shared.jobs.engine import SOON
from shared.use_cases.send_due_and_overdue_messages import send_due_and_overdue_messages
from tests.fakes.observed_store import ObservedStore
from tests.functional.scenarios.remediation_scenario import Scenario

FINISHED = SLEEPING = 1_000
#: Queries, each of one partition of a small table or of a range of keys: notices, outages,
#: reminders. (The line for calls is read besides.)
MOST_READS = 3
MINUTES = 15


@dataclass(slots=True)
class RecordingStore(ObservedStore):
    #: Table and partition of each query; None: of all partitions.
    queries: list[tuple[str, str | None]] = field(default_factory=list)
    gets: list[str] = field(default_factory=list)
    writes: int = 0

    def observe(self, request: str, table: str, partition: str | None) -> None:
        match request:
            case "get":
                self.gets.append(table)
            case "write":
                self.writes += 1
            case _:
                self.queries.append((table, partition))


async def test_timer_reads_no_job_if_none_is_due() -> None:
    scenario = Scenario(mode=ApprovalPolicy.AUTOMATIC)
    scenario.build.add_http_flow("Orders")
    scenario.build.apply_key()
    await scenario.opt_in()
    await scenario.order(run=timedelta(hours=2))
    job, tables = await scenario.read_job("Orders"), scenario.services.tables
    assert job.next_check_at is not None
    done = replace(
        job, state=FlowJobState.RETIRED, resume_state=None, reason_code="", next_check_at=None
    )
    await tables.flow_jobs.upsert(*(replace(done, id=f"done-{n:04}") for n in range(FINISHED)))
    sleeping = [replace(job, id=f"sleeping-{n:04}") for n in range(SLEEPING)]
    await tables.flow_jobs.upsert(*sleeping)
    now, at = scenario.services.now, job.next_check_at - SOON
    await tables.wake_ups.upsert(
        *(
            WakeUp(wake_at=at, row=tables.flow_jobs.get_row_name(one), written_at=now)
            for one in sleeping
        )
    )

    reads = []
    for _ in range(MINUTES):
        scenario.world.clock.advance(timedelta(minutes=1))
        recording = RecordingStore(scenario.services.tables.store)
        await send_due_and_overdue_messages(
            replace(scenario.services, tables=type(tables)(recording))
        )
        assert all(partition for _, partition in recording.queries), recording.queries
        assert "flowjobs" not in {table for table, _ in recording.queries}, recording.queries
        reads.append(len(recording.queries) + len(recording.gets))

    # Sometimes it looks at the environment's job, whose flow jobs may all have ended.
    assert set(reads) == {MOST_READS, MOST_READS + 2}, reads
    assert reads.count(MOST_READS) >= MINUTES - 2, reads
