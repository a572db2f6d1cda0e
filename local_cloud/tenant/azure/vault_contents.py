"""Store what a key vault contains: keys and secrets with their versions.

Times are aware UTC datetimes here and epoch seconds in JSON. See platform.md#vault-api,
#key-vault-secrets.
"""

import base64
import secrets
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from local_cloud.tenant.azure.key_material import get_private_key

#: What a key may be used for unless its maker says otherwise.
OPERATIONS = ("encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey")
#: Versions of keys and secrets are 32 hexadecimal digits.
_VERSION_BYTES = 16


def encode_base64url(content: bytes) -> str:
    """Return base64url without padding, as Key Vault encodes bytes."""
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def create_version_id() -> str:
    return secrets.token_hex(_VERSION_BYTES)


@dataclass(slots=True, kw_only=True)
class Attributes:
    created: datetime
    updated: datetime
    enabled: bool = True
    not_before: datetime | None = None
    expires: datetime | None = None

    def change(self, wire: dict[str, Any], now: datetime) -> None:
        """Set the attributes that a request contains. An attribute that is null stays unchanged."""
        if wire.get("enabled") is not None:
            self.enabled = wire["enabled"]
        if wire.get("nbf") is not None:
            self.not_before = convert_from_epoch(wire["nbf"])
        if wire.get("exp") is not None:
            self.expires = convert_from_epoch(wire["exp"])
        self.updated = now

    def is_usable(self, now: datetime) -> bool:
        has_begun = self.not_before is None or self.not_before <= now
        return self.enabled and has_begun and (self.expires is None or now < self.expires)

    def to_json(self) -> dict[str, Any]:
        wire: dict[str, Any] = {"enabled": self.enabled}
        if self.not_before is not None:
            wire["nbf"] = convert_to_epoch(self.not_before)
        if self.expires is not None:
            wire["exp"] = convert_to_epoch(self.expires)
        return wire | {
            "created": convert_to_epoch(self.created),
            "updated": convert_to_epoch(self.updated),
        }


@dataclass(slots=True, kw_only=True)
class SimulatedKeyVersion:
    version: str
    attributes: Attributes
    tags: dict[str, str] = field(default_factory=dict)
    key_name: str
    #: Of the versions of the key: 0 is the oldest.
    number: int
    #: Bits.
    size: int

    @property
    def private_key(self) -> RSAPrivateKey:
        return get_private_key(self.key_name, self.number, self.size)

    @property
    def modulus(self) -> str:
        """The modulus of the public key, in base64url."""
        modulus = self.private_key.public_key().public_numbers().n
        return encode_base64url(modulus.to_bytes(self.size // 8))


@dataclass(slots=True, kw_only=True)
class SecretVersion:
    version: str
    value: str = field(repr=False)
    attributes: Attributes
    content_type: str | None = None
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, kw_only=True)
class _Versions[V: (SimulatedKeyVersion, SecretVersion)]:
    name: str
    versions: list[V] = field(default_factory=list)
    deleted: datetime | None = None

    @property
    def latest(self) -> V:
        return self.versions[-1]

    def find(self, version: str) -> V | None:
        """Return a version by its id; an empty id means the current one."""
        if not version:
            return self.latest
        return next((each for each in self.versions if each.version == version), None)


@dataclass(slots=True, kw_only=True)
class Key(_Versions[SimulatedKeyVersion]):
    #: `RSA` or `RSA-HSM`.
    key_type: str = "RSA"
    #: Bits.
    size: int = 2048
    #: What it may be used for.
    operations: list[str] = field(default_factory=lambda: list(OPERATIONS))
    #: As Key Vault answers `/rotationpolicy`, without id.
    rotation_policy: dict[str, Any] = field(default_factory=dict)

    def add_version(
        self, attributes: Attributes, version: str | None = None
    ) -> SimulatedKeyVersion:
        added = SimulatedKeyVersion(
            version=version or create_version_id(),
            attributes=attributes,
            key_name=self.name,
            number=len(self.versions),
            size=self.size,
        )
        self.versions.append(added)
        return added

    def find_superseded_at(self, version: SimulatedKeyVersion) -> datetime | None:
        position = self.versions.index(version)
        if version is self.latest:
            return None
        return self.versions[position + 1].attributes.created


@dataclass(slots=True, kw_only=True)
class SimulatedSecret(_Versions[SecretVersion]): ...


@dataclass(slots=True, kw_only=True)
class VaultContents:
    """What one vault contains. Lookups by name ignore case."""

    name: str
    #: The vault as a resource.
    resource_id: str
    keys: dict[str, Key] = field(default_factory=dict)
    deleted_keys: dict[str, Key] = field(default_factory=dict)
    secrets: dict[str, SimulatedSecret] = field(default_factory=dict)
    deleted_secrets: dict[str, SimulatedSecret] = field(default_factory=dict)

    def find_key(self, name: str) -> Key | None:
        return self.keys.get(name.lower())

    def find_secret(self, name: str) -> SimulatedSecret | None:
        return self.secrets.get(name.lower())

    def put_secret(self, name: str, version: SecretVersion) -> SimulatedSecret:
        """Add a version to a secret, and return the secret, which is created if it is new."""
        secret = self.secrets.setdefault(name.lower(), SimulatedSecret(name=name))
        secret.versions.append(version)
        return secret


def add_next_version(key: Key, now: datetime) -> SimulatedKeyVersion:
    """Add a new current version to a key. It expires as the key's rotation policy says."""
    expiry = key.rotation_policy.get("attributes", {}).get("expiryTime")
    attributes = Attributes(created=now, updated=now)
    if expiry:
        attributes = replace(attributes, expires=now + _parse_duration(expiry))
    return key.add_version(attributes)


def convert_to_epoch(moment: datetime) -> int:
    return int(moment.timestamp())


def convert_from_epoch(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _parse_duration(iso: str) -> timedelta:
    """Parse a duration of a rotation policy, such as `P90D`, `P3M` or `P2Y`."""
    days_per_unit = {"D": 1, "M": 30, "Y": 365}
    unit = iso[-1:].upper()
    if not iso.upper().startswith("P") or unit not in days_per_unit:
        message = f"{iso!r} is not a duration in days, months or years"
        raise ValueError(message)
    return timedelta(days=int(iso[1:-1]) * days_per_unit[unit])
