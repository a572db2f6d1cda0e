"""Fake of the port `SigningKeys`, which signs with keys in Key Vault."""

from local_cloud.tenant.azure.key_material import get_private_key, sign_digest
from shared.domain.keys.key import KeyVersion
from shared.domain.signature import SigningKey
from shared.errors import NotFound, PlatformError
from shared.signatures import format_public_key
from tests.fakes.world import WorldFake


class FakeSigningKeys(WorldFake):
    async def read(self, key_url: str) -> SigningKey:
        place, name, version = self._split_key_url(key_url)
        for number, found in enumerate(reversed(self._get_versions(place, name))):
            if found.version == version:
                numbers = (
                    get_private_key(name, number, found.size or 0).public_key().public_numbers()
                )
                return SigningKey(
                    id=f"{place}/keys/{name}/{version}",
                    public_key=format_public_key(modulus=numbers.n, exponent=numbers.e),
                    is_enabled=found.is_enabled,
                    operations=found.operations,
                )
        raise NotFound(f"there is no version {version} of {name}")

    async def sign(self, key: SigningKey, digest: bytes) -> bytes:
        place, name, version = self._split_key_url(key.id)
        versions = self._get_versions(place, name)
        number, found = next(
            (number, one) for number, one in enumerate(reversed(versions)) if one.version == version
        )
        if not found.is_enabled:
            raise PlatformError("the key is off", code="KeyDisabled", status=403)
        return sign_digest(get_private_key(name, number, found.size or 0), digest)

    def _split_key_url(self, key_url: str) -> tuple[str, str, str]:
        place, _, rest = key_url.partition("/keys/")
        name, _, version = rest.partition("/")
        return place, name, version or self._get_versions(place, name)[0].version

    def _get_versions(self, place: str, name: str) -> list[KeyVersion]:
        try:
            return self._world.keys[place, name]
        except KeyError:
            raise NotFound(f"there is no key {name}") from None
