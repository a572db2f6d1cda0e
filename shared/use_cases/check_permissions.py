"""Check permissions of the app in Azure, and of the app and the service account in Dataverse.

In Azure, only permissions on subscriptions and resource groups are checked. A role on one resource
is not visible there; the caller search reports what it could not read.
"""

from collections.abc import Iterable, Mapping
from contextlib import suppress

from shared.domain.definitions.json_values import text_at
from shared.domain.environment import Environment
from shared.domain.finding import Finding, passed, problem, warning
from shared.domain.permissions import (
    IN_DATAVERSE,
    OPERATOR_IN_DATAVERSE,
    WATCHED,
    PermissionLevel,
    RequiredPermissions,
    RolePermissions,
    check_permissions,
    find_missing_permissions,
    get_resource_group_id,
)
from shared.errors import CmkflowError
from shared.ports import AppliesFixes
from shared.services import Services
from shared.use_cases.read_remediation_rows import RowReader

_PERMISSIONS = "providers/Microsoft.Authorization/permissions"
_VERSION = "2022-04-01"
_EVERYWHERE = frozenset({"Global"})
#: Privileges of System Administrator and Delegate that the app needs, and their minimum scope.
_OF_THE_APP: Mapping[str, frozenset[str]] = {
    "prvWriteWorkflow": _EVERYWHERE,
    "prvShareWorkflow": _EVERYWHERE,
    "prvActOnBehalfOfAnotherUser": frozenset({"Basic", "Local", "Deep", "Global"}),
}
_TO_READ = "prvReadWorkflow"
#: What of `WATCHED` only Key Vault Reader grants.
_OF_KEY_VAULT_READER = frozenset(WATCHED.data_actions)


async def check_caller_kind_permissions(
    services: Services, kind: str, needs: RequiredPermissions
) -> list[Finding]:
    """Return findings on whether the app can find and update callers of an Azure kind.

    The findings name the resource groups in which it cannot.
    """
    there = await services.assessment.resources.list(needs.resource_type, needs.api_version)
    groups = {get_resource_group_id(text_at(one, "id") or "").lower() for one in there}
    if not groups:
        return [passed("callers", "No resource of this kind in the watched subscriptions.", kind)]
    missing: dict[str, list[str]] = {}
    partial = []
    for group in sorted(groups):
        name, permissions = group.rpartition("/")[2], await _read_permissions(services, group)
        missing[name] = find_missing_permissions(needs, permissions)
        if check_permissions(needs, permissions) is PermissionLevel.PARTIAL:
            partial.append(name)
    lacking = _join_actions(one for name in partial or missing for one in missing[name])
    if partial:
        text = f"Some permissions are missing in: {', '.join(partial)}. Missing: {lacking}."
        return [problem("callers", text, needs.fix, kind)]
    full = [name for name, actions in missing.items() if not actions]
    text = f"The app can search and update {len(full)} of {len(missing)} resource groups."
    if others := sorted(missing.keys() - set(full)):
        text += f" Not in: {', '.join(others)}. Missing: {lacking}."
    return [passed("callers", text, kind) if full else warning("callers", text, needs.fix, kind)]


async def check_subscription_permissions(services: Services, subscription_id: str) -> list[Finding]:
    """Return findings on whether the app may read a watched subscription."""
    missing = find_missing_permissions(
        WATCHED, await _read_permissions(services, f"/subscriptions/{subscription_id}")
    )
    if not missing:
        text = "The app may read the subscription and the metadata of its keys."
        return [passed("subscriptions", text, subscription_id)]
    roles = {"Reader": set(missing) - _OF_KEY_VAULT_READER}
    roles["Key Vault Reader"] = set(missing) & _OF_KEY_VAULT_READER
    lacking = " and ".join(name for name, actions in roles.items() if actions)
    text = f"The role {lacking} is missing ({_join_actions(missing)})."
    return [problem("subscriptions", text, WATCHED.fix, subscription_id)]


async def check_dataverse_roles(services: Services, environment: Environment) -> list[Finding]:
    """Return findings on the roles of the app and the service account in an environment."""
    name, found = environment.display_name, []
    app = (await services.principals.read_application_user(environment)).id
    missing = [
        privilege
        for privilege, reach in _OF_THE_APP.items()
        if not reach & await services.principals.read_privilege_levels(environment, app, privilege)
    ]
    if missing:
        text = f"The app is a user, but lacks {', '.join(missing)}."
        found.append(problem("dataverse", text, IN_DATAVERSE.fix, name))
    else:
        text = "The app is a user, administers flows, and may act for their owners."
        found.append(passed("dataverse", text, name))
    operator_id = ""
    with suppress(CmkflowError):  # another check reports which account it is
        operator_id = await services.flow_access.read_account_id()
    if operator_id:
        found.append(await _check_service_account(services, environment, operator_id))
    return found


async def _check_service_account(
    services: Services, environment: Environment, operator_id: str
) -> Finding:
    name = environment.display_name
    users = await services.principals.read_users(environment, [operator_id])
    user = users.get(operator_id.lower())
    why = "is not a user"
    if user and user.is_disabled:
        why = "is disabled"
    elif user:
        reach = await services.principals.read_privilege_levels(
            environment, user.principal.id, _TO_READ
        )
        if reach:
            return passed("service_account", "The service account is a user and has a role.", name)
        why = f"has no role with {_TO_READ}"
    remedy = OPERATOR_IN_DATAVERSE.fix
    return problem(
        "service_account",
        f"The service account {why}, so it cannot read trigger URLs.",
        remedy,
        name,
    )


async def check_fix_permissions(services: Services) -> list[Finding]:
    """Return findings on whether the app may change the firewalls that plans may fix."""
    kinds = [one for one in services.firewalls.values() if isinstance(one, AppliesFixes)]
    reading = RowReader()
    settings = await reading.list_readable(services.tables.environment_settings.scan())
    opened = {resource for one in settings for resource in one.writable_firewalls}
    found = [problem("firewall_fixes", str(row), row.fix) for row in reading.unreadable]
    for resource in sorted(opened):
        name = resource.rpartition("/")[2]
        for kind in kinds:
            if f"/{kind.required_permissions.resource_type}/".lower() not in resource:
                continue
            missing = find_missing_permissions(
                kind.required_permissions,
                await _read_permissions(services, get_resource_group_id(resource)),
            )
            if not missing:
                found.append(passed("firewall_fixes", "The app may fix this firewall.", name))
            else:
                text = (
                    "The settings permit fixes of this firewall, but the app lacks: "
                    f"{_join_actions(missing)}."
                )
                found.append(problem("firewall_fixes", text, kind.required_permissions.fix, name))
    return found or [passed("firewall_fixes", "No environment permits automatic firewall fixes.")]


def _join_actions(actions: Iterable[str]) -> str:
    return ", ".join(sorted(set(actions)))


async def _read_permissions(services: Services, group: str) -> list[RolePermissions]:
    found = await services.assessment.resources.list_children(group, _PERMISSIONS, _VERSION)
    return [
        RolePermissions(
            actions=_list_permission_texts(one, "actions"),
            not_actions=_list_permission_texts(one, "notActions"),
            data_actions=_list_permission_texts(one, "dataActions"),
            not_data_actions=_list_permission_texts(one, "notDataActions"),
        )
        for one in found
    ]


def _list_permission_texts(permission: Mapping[str, object], name: str) -> tuple[str, ...]:
    found = permission.get(name)
    return tuple(map(str, found)) if isinstance(found, list) else ()
