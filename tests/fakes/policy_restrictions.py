"""Fake of the port `PolicyRestrictions`, which asks whether Azure Policy would deny a write."""

from collections.abc import Mapping, Sequence

from shared.errors import PlatformError
from tests.fakes.world import WorldFake


class FakePolicyRestrictions(WorldFake):
    async def find_denying_assignments(
        self, resource_id: str, content: Mapping[str, object], api_version: str
    ) -> Sequence[str]:
        self._world.policy_checks.append(resource_id)
        if self._world.are_policies_hidden:
            raise PlatformError("no right to check", code="AuthorizationFailed", status=403)
        wanted = str(content["type"]).lower()
        return [
            identity
            for identity, denied in self._world.policy_assignments.items()
            if denied.lower() in {wanted, "*"}
        ]
