"""Fakes of the ports that read keys, service tags and firewalls."""

from shared.domain.keys.key import EnterprisePolicy, KeyVault, KeyVersion, RoleAssignment
from shared.domain.network.firewall import Firewall
from shared.domain.network.firewall_fix import FirewallFix, build_unavailable_fix
from shared.domain.network.firewall_issue import FirewallIssue
from shared.domain.network.service_tags import ServiceTag, ServiceTagList
from shared.errors import NotFound
from tests.fakes.world import WorldFake


class FakeKeys(WorldFake):
    async def read_policies(self) -> list[EnterprisePolicy]:
        return list(self._world.policies.values())

    async def read_vault(self, named: str) -> KeyVault:
        for vault in self._world.vaults.values():
            if named.lower() in {vault.id, vault.name}:
                return vault
        raise NotFound(f"there is no vault {named}")

    async def read_role_assignments(self, vault_id: str, principal_id: str) -> list[RoleAssignment]:
        await self.read_vault(vault_id)
        return list(self._world.roles.get((vault_id.lower(), principal_id), ()))

    async def read_key_versions(self, vault: KeyVault, name: str) -> list[KeyVersion]:
        try:
            return list(self._world.keys[(vault.url, name)])
        except KeyError:
            raise NotFound(f"there is no key {name}") from None


class FakeServiceTags(WorldFake):
    async def get_list(self) -> ServiceTagList:
        tags = self._world.service_tags.items()
        return ServiceTagList(
            (ServiceTag(name=name, prefixes=tuple(listed)) for name, listed in tags),
            self._world.service_tags_edition,
        )


class FakeFirewalls(WorldFake):
    kind = "any"
    resource_type = "any"

    async def read(self) -> list[Firewall]:
        return list(self._world.firewalls)

    async def propose_fix(self, issue: FirewallIssue) -> FirewallFix:
        return build_unavailable_fix(issue, "of no kind: a fake")
