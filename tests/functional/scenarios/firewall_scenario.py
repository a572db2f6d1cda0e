"""Build scenarios in which a firewall denies the new addresses of flows."""

import json
from copy import deepcopy
from typing import Any

from shared.domain.environment import ApprovalPolicy
from shared.domain.network.firewall import Firewall, FirewallRule, RuleAction
from shared.use_cases.manage_firewall_fixes import (
    FirewallFixInput,
    propose_fixes,
)
from tests.fakes import definition_builder as define
from tests.fakes.crash import Plan
from tests.functional.scenarios.remediation_scenario import Scenario
from tests.kinds.case import HOST, Json
from tests.kinds.cases import load_firewall_case

WEST, NORTH = "PowerPlatformPlex.WestEurope", "PowerPlatformPlex.NorthEurope"
#: Firewall kinds whose fixes the app can apply.
APPLIED = ("app_service", "azure_firewall", "network_security_group")
GROUP = "network_security_group"
ERP_HOST = "erp.contoso.example"
SERVICE_TAGS = {
    WEST: ["20.61.88.128/26", "172.199.131.64/26"],
    NORTH: ["4.207.189.192/26"],
    "LogicApps.WestEurope": ["13.69.71.0/25"],
    "LogicApps.NorthEurope": ["13.69.231.160/27"],
}


def build_fix_input(kind: str, **more: Any) -> FirewallFixInput:
    return FirewallFixInput(resource=find_resource_name(kind), requested_by="ops", **more)


def find_resource_name(kind: str) -> str:
    return load_firewall_case(kind).name.partition(" ")[0]


class Guarded(Scenario):
    """A scenario with a flow that calls a host behind a firewall."""

    def add_resources(self, *resources: Json) -> None:
        for one in resources:
            self.world.resources[one["id"].lower()] = deepcopy(one)

    @property
    def azure(self) -> str:
        """Return all Azure resources without their ETags as one text, to compare them."""
        shown = {
            path: {key: value for key, value in one.items() if key != "etag"}
            for path, one in self.world.resources.items()
        }
        return json.dumps(shown, sort_keys=True)


async def build_guarded_scenario(
    kind: str, *, mode: ApprovalPolicy = ApprovalPolicy.REQUIRED
) -> Guarded:
    """Return a scenario on your key with a firewall of this kind in front of a called host."""
    scenario = Guarded(has_azure_firewalls=True, mode=mode)
    scenario.world.service_tags = {name: [*listed] for name, listed in SERVICE_TAGS.items()}
    case = load_firewall_case(kind)
    tags = [name for name in SERVICE_TAGS if name.startswith("LogicApps")]
    listed = await scenario.services.service_tags.get_list()
    for path, one in case.resources(case.build_sources(tags, listed)).items():
        scenario.world.resources[path.lower()] = deepcopy(one)
    scenario.build.add_http_flow("Orders", {"Call": define.build_http_action(f"https://{HOST}/")})
    scenario.build.apply_key()
    await scenario.opt_in()
    return scenario


async def list_issue_names(scenario: Scenario) -> list[str]:
    return [one.issue.name for one in await propose_fixes(scenario.services)]


def build_faulty_services(scenario: Scenario, plan: Plan) -> Any:
    return scenario.make(scenario.fakes.ports.wrap_with_plan(plan))


def build_erp_firewall(*sources: str) -> Firewall:
    """Return the firewall of `ERP_HOST`, which allows `LogicApps` and these sources."""
    rule = FirewallRule(name="flows", action=RuleAction.ALLOW, sources=("LogicApps", *sources))
    return Firewall(
        kind="app_service",
        id="/firewalls/erp",
        name="erp",
        hosts=frozenset({ERP_HOST}),
        rules=(rule,),
        default=RuleAction.DENY,
    )
