"""What is allowed: to the app in Azure, to the app and the operator in each Dataverse.

In Azure the roles of a subscription count, or those of a resource group and above. What lies on a
single resource is not seen here: then the search for callers tells what it could not read.
"""

from collections.abc import Mapping
from contextlib import suppress

from shared.domain.definitions.json_values import text_at
from shared.domain.environment import Environment
from shared.domain.finding import Finding, ok, problem, warning
from shared.domain.permissions import (
    IN_DATAVERSE,
    OPERATOR_IN_DATAVERSE,
    WATCHED,
    PermissionLevel,
    RequiredPermissions,
    RolePermissions,
    check_permissions,
    resource_group,
)
from shared.errors import CmkflowError
from shared.ports import AppliesFixes
from shared.services import Services

_PERMISSIONS = "providers/Microsoft.Authorization/permissions"
_VERSION = "2022-04-01"
_EVERYWHERE = frozenset({"Global"})
#: What System Administrator and Delegate give the app, by how far it has to reach.
_OF_THE_APP: Mapping[str, frozenset[str]] = {
    "prvWriteWorkflow": _EVERYWHERE,
    "prvShareWorkflow": _EVERYWHERE,
    "prvActOnBehalfOfAnotherUser": frozenset({"Basic", "Local", "Deep", "Global"}),
}
_TO_READ = "prvReadWorkflow"


async def check_caller_kind_permissions(
    services: Services, kind: str, needs: RequiredPermissions
) -> list[Finding]:
    """Return in which resource groups callers of a kind of Azure are found and updated."""
    there = await services.assessment.resources.list(needs.resource_type, needs.api_version)
    groups = {resource_group(text_at(one, "id") or "").lower() for one in there}
    given = {
        group.rpartition("/")[2]: check_permissions(needs, await _permissions(services, group))
        for group in sorted(groups)
    }
    if not given:
        return [ok("callers", "None of this kind is in the watched subscriptions.", kind)]
    if partial := [name for name, one in given.items() if one is PermissionLevel.PARTIAL]:
        text = f"Some of what it takes is allowed, and some is not: {', '.join(partial)}."
        return [problem("callers", text, needs.fix, kind)]
    full = [name for name, one in given.items() if one is PermissionLevel.FULL]
    text = f"Searched and updated in {len(full)} of {len(given)} resource groups."
    if others := sorted(given.keys() - set(full)):
        text += f" Not in: {', '.join(others)}."
    return [ok("callers", text, kind) if full else warning("callers", text, needs.fix, kind)]


async def check_subscription_permissions(services: Services, subscription_id: str) -> list[Finding]:
    """Return whether all that is read in a watched subscription may be read."""
    given = check_permissions(
        WATCHED, await _permissions(services, f"/subscriptions/{subscription_id}")
    )
    if given is PermissionLevel.FULL:
        text = "The app may read it, and the metadata of its keys."
        return [ok("subscriptions", text, subscription_id)]
    text = "The app may not read all of it: Reader or Key Vault Reader is missing."
    return [problem("subscriptions", text, WATCHED.fix, subscription_id)]


async def check_dataverse_roles(services: Services, environment: Environment) -> list[Finding]:
    """Return whether the app and the operator have the roles that they need in an environment."""
    name, found = environment.display_name, []
    app = (await services.principals.application(environment)).id
    lacking = [
        privilege
        for privilege, reach in _OF_THE_APP.items()
        if not reach & await services.principals.privilege(environment, app, privilege)
    ]
    if lacking:
        text = f"The app is a user there, and lacks {', '.join(lacking)}."
        found.append(problem("dataverse", text, IN_DATAVERSE.fix, name))
    else:
        text = "The app is a user there, administers flows, and may act for their owners."
        found.append(ok("dataverse", text, name))
    operator_id = ""
    with suppress(CmkflowError):  # who it is has a check of its own
        operator_id = await services.flow_access.account_id()
    if operator_id:
        found.append(await _operator(services, environment, operator_id))
    return found


async def _operator(services: Services, environment: Environment, operator_id: str) -> Finding:
    name = environment.display_name
    users = await services.principals.users(environment, [operator_id])
    user = users.get(operator_id.lower())
    why = "is no user there"
    if user and user.is_disabled:
        why = "is disabled there"
    elif user:
        reach = await services.principals.privilege(environment, user.principal.id, _TO_READ)
        if reach:
            return ok("operator", "The operator is a user there, and has a role.", name)
        why = f"has no role there that gives {_TO_READ}"
    remedy = OPERATOR_IN_DATAVERSE.fix
    return problem("operator", f"The operator {why}: it could read no trigger URL.", remedy, name)


async def check_fix_permissions(services: Services) -> list[Finding]:
    """Look at the resources that plans may open: an opening that is refused blocks its flows."""
    kinds = [one for one in services.firewalls.values() if isinstance(one, AppliesFixes)]
    opened = {
        resource
        for settings in await services.tables.environment_settings.all()
        for resource in settings.writable_firewalls
    }
    found = []
    for resource in sorted(opened):
        name = resource.rpartition("/")[2]
        for kind in kinds:
            if f"/{kind.required_permissions.resource_type}/".lower() not in resource:
                continue
            given = check_permissions(
                kind.required_permissions, await _permissions(services, resource_group(resource))
            )
            if given is PermissionLevel.FULL:
                found.append(ok("repairs", "The app may open it.", name))
            else:
                text = "Plans may open it, and the app is not allowed to."
                found.append(problem("repairs", text, kind.required_permissions.fix, name))
    return found or [ok("repairs", "No plan opens a firewall by itself.")]


async def _permissions(services: Services, group: str) -> list[RolePermissions]:
    """Return what the app's identity is given at a resource group, by roles there and above."""
    found = await services.assessment.resources.list_children(group, _PERMISSIONS, _VERSION)
    return [
        RolePermissions(
            actions=_texts(one, "actions"),
            not_actions=_texts(one, "notActions"),
            data_actions=_texts(one, "dataActions"),
            not_data_actions=_texts(one, "notDataActions"),
        )
        for one in found
    ]


def _texts(permission: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = permission.get(name)
    return tuple(map(str, found)) if isinstance(found, list) else ()
