"""Parse Key Vault references in app settings: `@Microsoft.KeyVault(…)`.

See platform.md#key-vault-references.
"""

import re
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlsplit

_REFERENCE = re.compile(r"@Microsoft\.KeyVault\((?P<arguments>.*)\)", re.IGNORECASE)
_NO_SYNTAX = "not a Key Vault reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyVaultReference:
    vault: str
    secret: str
    #: Empty: whatever is current.
    version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedReference:
    """The last result of resolving a Key Vault reference: a value or an error."""

    text: str
    #: None when the syntax is not understood.
    reference: KeyVaultReference | None
    #: `Resolved`, `InvalidSyntax`, `MSINotEnabled`, `VaultNotFound`, `AccessToKeyVaultDenied`,
    #: `SecretNotFound`, `SecretVersionNotFound`.
    status: str
    fetched_at: datetime
    #: What the running code reads: the secret, or the reference itself when it cannot be resolved.
    value: str = field(repr=False)
    active_version: str | None = None


def is_reference(value: str) -> bool:
    return value.lower().startswith("@microsoft.keyvault(")


def parse_reference(value: str) -> KeyVaultReference:
    """Parse a reference with `SecretUri=` or with `VaultName=;SecretName=`.

    Raises `ValueError` for any other text.
    """
    match = _REFERENCE.fullmatch(value.strip())
    if match is None:
        raise ValueError(_NO_SYNTAX)
    pairs = (pair.partition("=") for pair in match["arguments"].split(";"))
    arguments = {name.strip().lower(): text.strip() for name, _, text in pairs}
    if "secreturi" in arguments:
        return _parse_uri(arguments["secreturi"])
    if not arguments.get("vaultname") or not arguments.get("secretname"):
        raise ValueError(_NO_SYNTAX)
    return KeyVaultReference(
        vault=arguments["vaultname"],
        secret=arguments["secretname"],
        version=arguments.get("secretversion", ""),
    )


def _parse_uri(uri: str) -> KeyVaultReference:
    parts = urlsplit(uri)
    kind, _, rest = parts.path.strip("/").partition("/")
    name, _, version = rest.partition("/")
    if kind != "secrets" or not name or not parts.hostname:
        raise ValueError(_NO_SYNTAX)
    return KeyVaultReference(
        vault=parts.hostname.partition(".")[0], secret=name, version=version.strip("/")
    )
