import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from shared.domain.assessment.assessment import RemediationStatus
from shared.domain.definitions.trigger_kinds import TriggerCategory
from shared.domain.flow import FlowState
from shared.domain.ids import derive_flow_job_id
from shared.domain.jobs.flow_job import FlowJob, MigrationMethod
from shared.domain.jobs.flow_pair import Copy, Original
from shared.domain.jobs.flow_states import FlowJobState
from shared.ports import StoreRow
from shared.state.tables import Tables
from shared.use_cases.assess import assess_environment
from tests.fakes.builder import Builder
from tests.fakes.memory_store import MemoryStore
from tests.fakes.ports import build_fakes
from tests.fakes.services import build_fake_services
from tests.fakes.world import World

FEW, MANY = 3, 150


class CountedStore(MemoryStore):
    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()

    async def get(self, table: str, partition: str, key: str) -> StoreRow | None:
        self.reads[table] += 1
        return await super().get(table, partition, key)

    async def query(self, table: str, *of: Any, **options: Any) -> AsyncIterator[StoreRow]:
        self.reads[table] += 1
        async for row in super().query(table, *of, **options):
            yield row


async def count_reads(number: int) -> Counter[str]:
    """Return by table the reads of an assessment in an environment with this number of retired
    originals.
    """
    world, store = World(), CountedStore()
    build = Builder(world)
    services = replace(build_fake_services(build_fakes(world).ports), tables=Tables(store))
    jobs = []
    for one in range(number):
        flow, copy = build.add_http_flow(f"Flow {one}"), build.add_http_flow(f"Copy {one}")
        flow.state, copy.is_protected = FlowState.OFF, True
        jobs.append((flow, copy))
    build.apply_key()
    environment = await services.environments.get(build.environment.id)
    assert environment.policy is not None
    policy = environment.policy.policy_id
    await services.tables.flow_jobs.upsert(
        *(
            FlowJob(
                id=derive_flow_job_id(environment.id, flow.workflow_id, policy),
                environment_id=environment.id,
                policy_id=policy,
                remediation_id="done",
                environment_job_id="done",
                original=Original(
                    id=flow.workflow_id,
                    flow_name=flow.flow_name,
                    category=TriggerCategory.HTTP,
                    trigger_name="manual",
                    has_trigger_url=True,
                    in_solution=True,
                    digest="",
                ),
                display_name=flow.name,
                migration_method=MigrationMethod.UPDATE_CALLERS,
                state=FlowJobState.RETIRED,
                copy=Copy(id=copy.workflow_id),
            )
            for flow, copy in jobs
        )
    )
    store.reads.clear()
    found = await assess_environment(services, environment.id)
    assert [one.remediation_status for one in found.flows] == [RemediationStatus.RETIRED] * number
    return store.reads


def test_reads_do_not_grow_with_the_retired_originals() -> None:
    few, many = asyncio.run(count_reads(FEW)), asyncio.run(count_reads(MANY))

    assert few["deletions"] == 1
    assert many == few
