"""Store all environments of the tenant, and find them and their flows by hosts and URLs."""

from dataclasses import dataclass, field
from datetime import datetime
from random import Random

from local_cloud.tenant.core.assumptions import Assumptions
from local_cloud.tenant.core.earlier_times import Past, draw_lag
from local_cloud.tenant.environments.environment import Operation, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow

#: Host of the flow service whatever the region.
GLOBAL_FLOW_HOST = "api.flow.microsoft.com"
#: Geography → region of the flow service, where the two are not called the same
#: (platform.md#regional-hosts).
_REGION_OF_FLOW = {"europe": "emea", "uk": "unitedkingdom", "uae": "unitedarabemirates"}


def build_environment_host(environment_id: str) -> str:
    """Return the host of an environment's own API (platform.md#environment-host)."""
    compact = environment_id.lower().replace("-", "")
    return f"{compact[:-2]}.{compact[-2:]}.environment.api.powerplatform.com"


def build_flow_host(location: str) -> str:
    return f"{_REGION_OF_FLOW.get(location, location)}.{GLOBAL_FLOW_HOST}"


def list_runtime_endpoints(environment: SimulatedEnvironment) -> dict[str, str]:
    """Return the addresses of services for an environment's region, as BAP lists them."""
    region = environment.location
    return {
        "microsoft.BusinessAppPlatform": f"https://{region}.api.bap.microsoft.com",
        "microsoft.PowerApps": f"https://{region}.api.powerapps.com",
        "microsoft.Flow": f"https://{build_flow_host(region)}",
    }


@dataclass(slots=True)
class PowerPlatform:
    assumptions: Assumptions = field(default_factory=Assumptions)
    environments: dict[str, SimulatedEnvironment] = field(default_factory=dict)
    operations: dict[str, Operation] = field(default_factory=dict)
    _lags: Random = field(default_factory=lambda: Random(0))
    _by_org_host: dict[str, SimulatedEnvironment] = field(default_factory=dict)
    _by_workflow_id: dict[str, tuple[SimulatedEnvironment, Flow]] = field(default_factory=dict)

    def add_environment(self, environment: SimulatedEnvironment) -> None:
        self.environments[environment.id] = environment
        if environment.org_host:
            self._by_org_host[environment.org_host.lower()] = environment
            self._by_org_host[environment.api_host.lower()] = environment

    def find_environment_of_host(self, host: str) -> SimulatedEnvironment | None:
        return self._by_org_host.get(host.lower())

    def register_trigger_url(self, environment: SimulatedEnvironment, flow: Flow) -> None:
        """Let `find_called_flow` find a flow by the id in its trigger URL.

        Call this again after the id has changed.
        """
        self._by_workflow_id[flow.workflow_id] = (environment, flow)

    def add_flow(self, environment: SimulatedEnvironment, flow: Flow) -> None:
        environment.add_flow(flow)
        self.register_trigger_url(environment, flow)

    def find_called_flow(self, workflow_id: str) -> tuple[SimulatedEnvironment, Flow] | None:
        """Return the flow with the id in a trigger URL, even a deleted one, or None."""
        return self._by_workflow_id.get(workflow_id.lower())

    def keep_flow_for_reads(
        self, environment: SimulatedEnvironment, flow: Flow, now: datetime, *, is_new: bool = False
    ) -> None:
        """Store the present state of a flow, which reads may show after the coming write."""
        if lag := draw_lag(self.assumptions, self._lags, now):
            flow.past.keep(None if is_new else flow.copy_for_reads(), lag)
            if flow not in environment.unseen_flows:
                environment.unseen_flows.append(flow)

    def keep_row_for_reads(
        self, environment: SimulatedEnvironment, entity_set: str, row_id: str, now: datetime
    ) -> None:
        """Store the present state of a row, or its absence.

        Reads may show this state after the coming write.
        """
        if lag := draw_lag(self.assumptions, self._lags, now):
            row = environment.get_table(entity_set).get(row_id)
            past = environment.unseen_rows.setdefault((entity_set, row_id), Past())
            past.keep(row.copy() if row else None, lag)
