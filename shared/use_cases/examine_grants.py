"""What the app's identity is allowed in Azure: at the callers' resource groups, and at firewalls.

The roles that count are those of the resource group and above. What lies on a single resource is
not seen here: then the search for callers tells what it could not read.
"""

from collections.abc import Mapping

from shared.domain.definitions.json_values import text_at
from shared.domain.finding import Finding, ok, problem, warning
from shared.domain.grants import Access, Needs, Permission, access, resource_group
from shared.ports import AppliesRepairs
from shared.services import Services

_PERMISSIONS = "providers/Microsoft.Authorization/permissions"
_VERSION = "2022-04-01"


async def caller_kind(services: Services, kind: str, needs: Needs) -> list[Finding]:
    """Return in which resource groups callers of a kind of Azure are found and updated."""
    there = await services.assessment.resources.list(needs.resource_type, needs.api_version)
    groups = {resource_group(text_at(one, "id") or "").lower() for one in there}
    given = {
        group.rpartition("/")[2]: access(needs, await _permissions(services, group))
        for group in sorted(groups)
    }
    if not given:
        return [ok("callers", "None of this kind is in the watched subscriptions.", kind)]
    if partial := [name for name, one in given.items() if one is Access.PARTIAL]:
        text = f"Some of what it takes is allowed, and some is not: {', '.join(partial)}."
        return [problem("callers", text, needs.remedy, kind)]
    full = [name for name, one in given.items() if one is Access.FULL]
    text = f"Searched and updated in {len(full)} of {len(given)} resource groups."
    if others := sorted(given.keys() - set(full)):
        text += f" Not in: {', '.join(others)}."
    return [ok("callers", text, kind) if full else warning("callers", text, needs.remedy, kind)]


async def repairs(services: Services) -> list[Finding]:
    """Look at the resources that plans may open: an opening that is refused blocks its flows."""
    kinds = [one for one in services.firewalls.values() if isinstance(one, AppliesRepairs)]
    opened = {
        resource
        for settings in await services.tables.environments.all()
        for resource in settings.repaired_resources
    }
    found = []
    for resource in sorted(opened):
        name = resource.rpartition("/")[2]
        for kind in kinds:
            if f"/{kind.needs.resource_type}/".lower() not in resource:
                continue
            given = access(kind.needs, await _permissions(services, resource_group(resource)))
            if given is Access.FULL:
                found.append(ok("repairs", "The app may open it.", name))
            else:
                text = "Plans may open it, and the app is not allowed to."
                found.append(problem("repairs", text, kind.needs.remedy, name))
    return found or [ok("repairs", "No plan opens a firewall by itself.")]


async def _permissions(services: Services, group: str) -> list[Permission]:
    """Return what the app's identity is given at a resource group, by roles there and above."""
    found = await services.assessment.resources.below(group, _PERMISSIONS, _VERSION)
    return [
        Permission(
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
