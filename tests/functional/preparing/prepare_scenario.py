from shared.domain.plans.remediation import RemediationMode
from tests.fakes import definition_builder as define
from tests.fakes.tenant import FakeFlow
from tests.functional.scenarios.remediation_scenario import Scenario

PREPARE = RemediationMode.PREPARE


async def list_microsoft_key_flows(scenario: Scenario) -> set[str]:
    page = await scenario.services.flow_reports.read_microsoft_key_flows(
        scenario.build.environment.id, cannot_migrate_only=True
    )
    return {flow.display_name for flow in page.items}


def list_solution_requests(scenario: Scenario) -> list[str]:
    """Return the flow ids of each request that added flows to a solution."""
    return [write.target for write in scenario.world.writes if write.what == "add to solution"]


def add_input_flow(scenario: Scenario, name: str = "App") -> FakeFlow:
    """Add a Power Apps (V1) flow outside solutions that uses an input of its trigger."""
    schema = {
        "type": "object",
        "properties": {"Name_Value": {"type": "string"}},
        "required": ["Name_Value"],
    }
    trigger = define.build_request_trigger("PowerApp", schema=schema)
    action = define.build_http_action("https://erp.contoso.example/x")
    action["inputs"]["body"] = "@triggerBody()?['Name_Value']"
    return scenario.build.add_flow(name, trigger, {"Post": action}, in_solution=False)
