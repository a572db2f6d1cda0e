"""Build callers for Key Vault secrets."""

import re

from shared.domain.callers.caller import Caller

IN_KEY_VAULT = "key_vault_secret"
#: The identifier of a secret without a version, of any cloud.
IDENTIFIER = (
    r"^https://[A-Za-z][A-Za-z0-9-]{2,23}\.vault\.(azure\.net|azure\.cn|usgovcloudapi\.net)"
    r"/secrets/[A-Za-z0-9-]{1,127}$"
)


def build_secret_caller(vault_url: str, name: str) -> Caller:
    """Return the caller for a secret. Its address is `vault URL|name`."""
    return Caller(
        kind=IN_KEY_VAULT,
        address=f"{vault_url}|{name}",
        label=f"secret {name} in {vault_url} (apps that refer to it follow within 24 h)",
        resource_id=f"{IN_KEY_VAULT}/{vault_url}|{name}".lower(),
    )


def parse_secret_id(secret_id: str) -> tuple[str, str]:
    """Split the identifier of a secret into the URL of its vault and its name."""
    vault_url, _, name = secret_id.partition("/secrets/")
    return vault_url.lower(), name


def format_secret(secret_id: str) -> str:
    """Return a secret in words for people, such as `secret url of the key vault contoso`."""
    vault_url, name = parse_secret_id(secret_id)
    vault = re.sub(r"^https://|\..*", "", vault_url)
    return f"secret {name} of the key vault {vault}"
