"""Who may name a connection in a connection reference: whoever may use the connection (§14.2)."""

from local_cloud.tenant.dataverse_access import Actor
from local_cloud.tenant.environment import Environment, Row
from local_cloud.tenant.platform_error import PlatformError


def require_usable_connection(environment: Environment, actor: Actor, body: Row) -> None:
    """Refuse a row that names a connection which the actor neither owns nor has been shared."""
    name = body.get("connectionid")
    if not name:
        return  # a reference may stay unbound
    connection = environment.connections.get(str(name))
    if connection and actor.object_id in {connection.owner, *connection.shared_with}:
        return
    connector = str(body.get("connectorid") or "").rpartition("/")[2]
    raise PlatformError(
        403,
        "ConnectionAuthorizationFailed",
        f"The caller object id is '{actor.object_id}'. Connection '{name}' to '{connector}' "
        "cannot be used: it is not a valid connection, or not one you have access permission for.",
    )
