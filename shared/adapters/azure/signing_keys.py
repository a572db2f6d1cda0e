"""Sign with keys in Key Vault (platform.md#vault-api)."""

import base64
import binascii

from shared.adapters.azure.key_vault import VaultClient
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.signature import ALGORITHM, SigningKey
from shared.errors import PlatformError
from shared.ports import SigningKeys


class _Key(Wire):
    kid: str
    key_ops: tuple[str, ...] = ()
    #: Base64url; absent if it is not an RSA key.
    n: str = ""
    e: str = ""


class _Attributes(Wire):
    enabled: bool = True


class _KeyBundle(Wire):
    key: _Key
    attributes: _Attributes = _Attributes()


class _SignResult(Wire):
    value: str


class VaultSigningKeys(SigningKeys):
    """Implements the port `SigningKeys` with the Key Vault API."""

    def __init__(self, contents: VaultClient) -> None:
        self._contents = contents

    async def read(self, key_url: str) -> SigningKey:
        from shared.signatures import format_public_key

        bundle = parse_wire(_KeyBundle, await self._contents.read(key_url.rstrip("/")))
        key = bundle.key
        try:
            public_key = format_public_key(
                modulus=_decode_number(key.n), exponent=_decode_number(key.e)
            )
        except ValueError as err:
            message = f"{key.kid} is not an RSA key that can sign: {err}"
            raise PlatformError(message, code="NotAnRsaKey", status=400) from err
        return SigningKey(
            id=key.kid,
            public_key=public_key,
            is_enabled=bundle.attributes.enabled,
            operations=frozenset(one.lower() for one in key.key_ops),
        )

    async def sign(self, key: SigningKey, digest: bytes) -> bytes:
        body = {"alg": ALGORITHM, "value": base64.urlsafe_b64encode(digest).decode().rstrip("=")}
        answer = await self._contents.post(f"{key.id}/sign", body)
        return _decode_bytes(parse_wire(_SignResult, answer).value)


def _decode_number(text: str) -> int:
    return int.from_bytes(_decode_bytes(text))


def _decode_bytes(text: str) -> bytes:
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as err:
        raise PlatformError("Key Vault: invalid base64", code="BadAnswer", status=502) from err
