from typing import Any

from local_cloud.demo.display_text import format_assessment, format_ends, format_plan
from local_cloud.demo.platform_requests import REMEDIATING, RequestMeter


class CountingTenant:
    def __init__(self) -> None:
        self.routes: dict[str, int] = {}
        self.own_calls: dict[str, int] = {}

    async def call_control(self, method: str, path: str) -> dict[str, Any]:
        assert (method, path) == ("GET", "/calls")
        return {"routes": self.routes}


def test_plan_is_formatted_in_the_order_of_its_actions() -> None:
    counts = {"needs_changes": 4, "copy": 1, "cut_over": 0, "no_change": 2, "new_action": 3}

    told = format_plan(counts)

    assert told == ("1 flow to copy, 2 without changes, 4 with required changes, 3 new_action")
    assert format_plan({}) == "no flow"
    assert format_ends(["retired", "blocked", "retired"]) == (
        "2 flows copied and retired, 1 blocked"
    )


def test_an_assessment_counts_each_flow_that_stays_once() -> None:
    reasons = [["parent_of_microsoft_key_flow", "http_trigger"], ["list_flows_as_admin_v1"]]
    flows = [{"stays_on_microsoft_key": True, "microsoft_key_reasons": each} for each in reasons]
    moving = {"stays_on_microsoft_key": False, "microsoft_key_reasons": []}

    told = format_assessment({"flow_count": 9, "flows": [*flows, moving]})

    assert told == (
        "2 of 9 flows would stay on Microsoft's key: 1 flow (HTTP trigger), "
        "1 (List flows as Admin (V1)). 1 of them can be prepared instead of copied."
    )


async def test_requests_are_counted_for_the_part_in_which_they_were_sent() -> None:
    tenant = CountingTenant()
    meter = RequestMeter(tenant)  # type: ignore[arg-type]  # all that it calls

    tenant.routes = {"bap.list": 2, "triggers.call": 7, "entra.token": 1}
    await meter.mark("planning")
    tenant.routes = {"bap.list": 3, "triggers.call": 9, "key_vault.get": 5}
    tenant.own_calls = {"key_vault.get": 1}
    await meter.mark(REMEDIATING)

    assert meter.compute_requests_per_flow() == {}
    meter.flows = 2
    assert dict(meter.parts["planning"]) == {"admin API": 2}
    assert meter.compute_requests_per_flow() == {"Key Vault": 2.0, "admin API": 0.5}
