from collections import Counter
from dataclasses import replace
from typing import Any

from shared.domain.assessment.estimate import DATAVERSE_CALLS, FLOW_SERVICE_CALLS
from shared.services import Services
from tests.fakes.ports import Ports
from tests.fakes.services import build_fake_services
from tests.functional.scenarios.remediation_scenario import Scenario, plan_and_approve

FLOWS = 10


class _Counted:
    def __init__(self, port: object, count: Counter[str], name: str) -> None:
        self._port, self._count, self._name = port, count, name

    def __getattr__(self, name: str) -> Any:
        self._count[self._name] += 1
        return getattr(self._port, name)


async def test_estimated_requests_are_at_most_twice_the_actual_ones() -> None:
    count: Counter[str] = Counter()

    def count_requests(ports: Ports) -> Services:
        services = build_fake_services(ports)
        flow_service = ("flow_reports", "flow_access", "flow_switch")
        behind: dict[str, Any] = {
            name: _Counted(getattr(services, name), count, "flow service") for name in flow_service
        }
        dataverse = ("workflows", "flow_sharing", "principals", "solutions")
        behind |= {
            name: _Counted(getattr(services, name), count, "Dataverse") for name in dataverse
        }
        return replace(services, **behind)

    scenario = Scenario()
    scenario.driver.make = count_requests
    for number in range(FLOWS):
        flow = scenario.build.add_http_flow(f"Flow {number}")
        scenario.build.add_app_setting_caller(flow, setting=f"URL_{number}")
    scenario.world.traffic.beat(scenario.world)
    await plan_and_approve(scenario)

    assert count["flow service"] <= FLOW_SERVICE_CALLS * FLOWS < 2 * count["flow service"]
    assert count["Dataverse"] <= DATAVERSE_CALLS * FLOWS < 2 * count["Dataverse"]
