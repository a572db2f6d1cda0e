"""All environments of the tenant, and the indexes by which its hosts find them."""

from dataclasses import dataclass, field

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.environments.environment import Environment, Operation
from local_cloud.tenant.environments.flow import Flow

#: Geography → region of the flow service, where the two are not called the same.
_REGION_OF_FLOW = {"europe": "emea"}


def environment_host(environment_id: str) -> str:
    """Host of an environment's own Power Platform API (contract §1.4)."""
    compact = environment_id.lower().replace("-", "")
    return f"{compact[:-2]}.{compact[-2:]}.environment.api.powerplatform.com"


def runtime_endpoints(environment: Environment) -> dict[str, str]:
    """The services' addresses in an environment's own region, as each of them writes them."""
    region = environment.location
    flow_region = _REGION_OF_FLOW.get(region, region)
    return {
        "microsoft.BusinessAppPlatform": f"https://{region}.api.bap.microsoft.com",
        "microsoft.PowerApps": f"https://{region}.api.powerapps.com",
        "microsoft.Flow": f"https://{flow_region}.api.flow.microsoft.com",
    }


@dataclass(slots=True)
class PowerPlatform:
    """State of BAP, of the flow service and of Dataverse."""

    assumptions: Assumptions = field(default_factory=Assumptions)
    environments: dict[str, Environment] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    _by_org_host: dict[str, Environment] = field(default_factory=dict)
    _by_workflow_id: dict[str, tuple[Environment, Flow]] = field(default_factory=dict)

    def add_environment(self, environment: Environment) -> None:
        """Add an environment."""
        self.environments[environment.id] = environment
        if environment.org_host:
            self._by_org_host[environment.org_host.lower()] = environment
            self._by_org_host[environment.api_host.lower()] = environment

    def environment_of_host(self, host: str) -> Environment | None:
        """The environment whose Dataverse a host is."""
        return self._by_org_host.get(host.lower())

    def register(self, environment: Environment, flow: Flow) -> None:
        """Let calls to the flow's URL find it; again after its internal id changed."""
        self._by_workflow_id[flow.workflow_id] = (environment, flow)

    def add_flow(self, environment: Environment, flow: Flow) -> None:
        """Add a flow to an environment."""
        environment.add_flow(flow)
        self.register(environment, flow)

    def called_flow(self, workflow_id: str) -> tuple[Environment, Flow] | None:
        """The environment and flow of an internal workflow id; deleted flows are found too."""
        return self._by_workflow_id.get(workflow_id.lower())
