"""Check who may name a connection in a row, and add names of connections to saved definitions.

See platform.md#connection-references.
"""

import json

from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.dataverse.access import Actor
from local_cloud.tenant.environments.environment import Row, SimulatedEnvironment
from local_cloud.tenant.environments.flow_facts import parse_client_data, read_facts
from local_cloud.tenant.flows.lifecycle import find_connection_name


def require_usable_connection(environment: SimulatedEnvironment, actor: Actor, body: Row) -> None:
    """Reject a row with a connection that the actor may not use."""
    name = body.get("connectionid")
    if not name:
        return  # a reference may stay unbound
    connection = environment.connections.get(str(name))
    if connection and actor.object_id in {connection.owner, *connection.shared_with}:
        return
    connector = str(body.get("connectorid") or "").rpartition("/")[2]
    raise SimulatedPlatformError(
        403,
        "ConnectionAuthorizationFailed",
        f"The caller object id is '{actor.object_id}'. Connection '{name}' to '{connector}' "
        "cannot be used: it is not a valid connection, or not one you have access permission for.",
    )


def with_connection_names(environment: SimulatedEnvironment, client_data: str) -> str:
    """Return a definition with the names of the connections of its connection references."""
    document = json.loads(client_data)
    for use in read_facts(parse_client_data(client_data)).connections:
        name = find_connection_name(environment, use)
        if use.logical_name and name:
            entry = document["properties"]["connectionReferences"][use.key]
            entry.setdefault("connection", {})["name"] = name
    return json.dumps(document)
