"""Fakes of the ports that read keys, service tags and firewalls."""

from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion, RoleAssignment
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import FirewallFix, build_unavailable_fix
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.service_tags import ServiceTag, ServiceTagList
from shared.errors import NotFound
from tests.fakes.test_world import World


class FakeKeys:
    """Implements `Keys` with the enterprise policies, vaults and keys of a `World`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def read_policies(self) -> list[EnterprisePolicy]:
        """Return the enterprise policies of the subscriptions that the app reads."""
        return list(self._world.policies.values())

    async def read_vault(self, named: str) -> KeyVault:
        """Return a vault by name or Azure resource id; raises `NotFound`."""
        for vault in self._world.vaults.values():
            if named.lower() in {vault.id, vault.name}:
                return vault
        raise NotFound(f"there is no vault {named}")

    async def read_role_assignments(self, vault_id: str, principal_id: str) -> list[RoleAssignment]:
        """Return the role assignments of a principal at a vault, at its parent scopes and at what
        it contains.
        """
        await self.read_vault(vault_id)
        return list(self._world.roles.get((vault_id.lower(), principal_id), ()))

    async def read_key_versions(self, vault: KeyVault, name: str) -> list[KeyVersion]:
        """Return every version of a key, newest first."""
        try:
            return list(self._world.keys[(vault.url, name)])
        except KeyError:
            raise NotFound(f"there is no key {name}") from None


class FakeServiceTags:
    """Implements `ServiceTags` with the service tags of a `World`."""

    def __init__(self, world: World) -> None:
        self._world = world

    async def get_list(self) -> ServiceTagList:
        """Return the current list."""
        tags = self._world.service_tags.items()
        return ServiceTagList(
            (ServiceTag(name=name, prefixes=tuple(listed)) for name, listed in tags),
            self._world.service_tags_edition,
        )


class FakeFirewalls:
    """A firewall kind with all firewalls of a `World`."""

    kind = "any"
    resource_type = "any"

    def __init__(self, world: World) -> None:
        self._world = world

    async def read(self) -> list[Firewall]:
        """Return every firewall."""
        return list(self._world.firewalls)

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        """Return a fix without a change, which says that a person must act."""
        return build_unavailable_fix(issue, "of no kind: a fake")
