import io
import json
import zipfile
from typing import Any

from functions import (
    evidence_api,
)
from shared.bootstrap import provide
from shared.domain.evidence_file import (
    find_manifest_differences,
)
from shared.domain.jobs.flow_states import FlowJobState
from shared.use_cases.archive_runs import archive_runs
from tests.functional.scenarios.app_calls import TRIGGERS, call
from tests.functional.scenarios.remediation_scenario import Scenario


async def build_evidence_scenario() -> Scenario:
    scenario = Scenario()
    scenario.driver.use_cases = TRIGGERS
    scenario.build.add_app_setting_caller(scenario.build.add_http_flow("Orders"))
    scenario.build.add_http_flow("=Invoices")
    scenario.build.apply_key()
    await scenario.opt_in()
    provide(scenario.services)
    return scenario


async def export_evidence(scenario: Scenario) -> bytes:
    """Export the evidence file, and require that its files match its manifest."""
    provide(scenario.services)
    reply = await call(evidence_api.show_evidence, id=scenario.remediation.id)
    assert reply.status == 200
    assert list(find_manifest_differences(io.BytesIO(reply.content))) == []
    return reply.content


def extract_files(content: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist()}


def parse_lines(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


async def retire_originals(scenario: Scenario) -> None:
    """Start and approve a remediation, retire every original, and archive the flow runs."""
    scenario.world.traffic.beat(scenario.world)
    await scenario.order()
    await scenario.approve()
    await archive_runs(scenario.services, scenario.remediation.id)
    assert {job.state for job in (await scenario.read_jobs()).values()} == {FlowJobState.RETIRED}
