"""Define the URL secret: a Key Vault secret with the trigger URL of a flow, for its callers.

Its address is `vault URL|name`, as for any secret that is a caller.
"""

import re
from dataclasses import replace

from shared.domain.callers.caller import Caller
from shared.domain.callers.secret_caller import build_secret_caller

_PREFIX = "trigger-url-"
_REFERENCE = re.compile(
    rf"@Microsoft\.KeyVault\(SecretUri=(https://[^/]+/secrets/{_PREFIX}[^/;)\s]+)\)"
)


def build_url_secret_address(vault_url: str, workflow_id: str) -> str:
    """Return the address of an original's URL secret."""
    return f"{vault_url.rstrip('/')}|{_PREFIX}{workflow_id}"


def is_url_secret(address: str, vault_url: str) -> bool:
    """Return whether an address is that of a URL secret in this vault."""
    return bool(vault_url) and address.startswith(f"{vault_url.rstrip('/')}|{_PREFIX}")


def build_url_secret(address: str, environment_id: str, workflow_id: str) -> Caller:
    """Return the URL secret of an original as a caller."""
    tags = (("cmk-environment-id", environment_id), ("cmk-flow-id", workflow_id))
    secret = build_secret_caller(*address.split("|"))
    return replace(secret, is_created_if_missing=True, tags=tags)


def build_reference_to_address(address: str) -> str:
    """Return the app setting text that refers to the secret at this address."""
    vault_url, _, name = address.partition("|")
    return build_reference_to_uri(f"{vault_url}/secrets/{name}")


def build_reference_to_uri(uri: str) -> str:
    """Return the app setting text that refers to the secret with this URI."""
    return f"@Microsoft.KeyVault(SecretUri={uri})"


def find_secret_uri(text: str) -> str:
    """Return the URI of the URL secret that a text refers to, or "" if it refers to none."""
    found = _REFERENCE.fullmatch(text)
    return found[1] if found else ""


def parse_secret_uri(uri: str) -> str:
    """Return the address of the secret with this URI."""
    vault_url, _, name = uri.partition("/secrets/")
    return f"{vault_url}|{name}"


def format_url_secret(address: str) -> str:
    """Return the name and the vault of a URL secret, for people."""
    vault_url, _, name = address.partition("|")
    return f"{name} in {vault_url}"


def is_url_secret_reference(text: str) -> bool:
    """Return whether the whole text is a reference to a URL secret."""
    return bool(find_secret_uri(text))
