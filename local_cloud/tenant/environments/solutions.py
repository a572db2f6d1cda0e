"""Add flows to solutions, for Dataverse and for the flow service."""

from typing import Any
from uuid import uuid4

from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment
from local_cloud.tenant.environments.flow import Flow

#: Component type of a flow (platform.md#solutions).
WORKFLOW_COMPONENT = 29


def add_to_solution(environment: SimulatedEnvironment, flow: Flow, solution: Row) -> str:
    """Add a flow to a solution, if it is not there yet. Return the id of the component row."""
    flow.solutions.add(solution["uniquename"])
    flow.is_in_solution = True
    components = environment.get_table("solutioncomponents")
    values: dict[str, Any] = {
        "objectid": flow.workflow_entity_id,
        "componenttype": WORKFLOW_COMPONENT,
        "_solutionid_value": solution["solutionid"],
    }
    for row_id, row in components.items():
        if values.items() <= row.items():
            return row_id
    row_id = str(uuid4())
    components[row_id] = {"solutioncomponentid": row_id, **values, "versionnumber": 1}
    return row_id
