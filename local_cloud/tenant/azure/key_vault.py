"""Serve `{vault}.vault.azure.net`, the data plane of Key Vault.

A request without a token gets the challenge that Microsoft's clients wait for before they send a
body. See platform.md#vault-api, #key-vault-secrets.
"""

from starlette.routing import Route

from local_cloud.tenant.azure import vault_keys, vault_recovery, vault_secrets
from local_cloud.tenant.core.tenant import Tenant

HOSTS = (".vault.azure.net",)
_LISTS = (
    *("list_keys", "list_key_versions", "list_deleted_keys"),
    *("list_secrets", "list_secret_versions", "list_deleted_secrets"),
)
OPTIONS = dict.fromkeys(_LISTS, ("maxresults",))


def build_routes(tenant: Tenant) -> list[Route]:
    del tenant  # Handlers find it in the request.
    # `restore` comes before the name of a key.
    return [
        *vault_recovery.build_routes(),
        *vault_keys.build_routes(),
        *vault_secrets.build_routes(),
    ]
