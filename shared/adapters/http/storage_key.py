"""Detect from an error that the app's storage account cannot use its customer-managed key.

See platform.md#storage-key-loss.
"""

from azure.core.exceptions import AzureError

#: The key is disabled, deleted or not granted; the vault is gone; the identity has no token.
_CODES = frozenset(
    {
        "KeyVaultEncryptionKeyNotFound",
        "KeyVaultVaultNotFound",
        "KeyVaultAccessTokenCannotBeAcquired",
    }
)


def is_key_unusable(status: int, code: str) -> bool:
    """Return whether an error means that the storage account cannot decrypt anything."""
    return status == 403 and code in _CODES


def get_storage_error_code(err: AzureError) -> str:
    """Return the error code of the storage account, or "" if the error has none."""
    code = getattr(err, "error_code", "")
    return str(getattr(code, "value", code) or "")
