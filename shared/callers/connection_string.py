"""Read and write connection strings of App Service and Functions apps as callers."""

from shared.callers.app_setting import AppSettingCallers
from shared.ports import AppSettings, Keys, Secrets


class ConnectionStringCallers(AppSettingCallers):
    """Implements `CallerKind` and `WritesWholeResource`, as settings do.

    Addresses are `app's resource id|type|name`.
    """

    kind = "connection_string"
    noun = "connection string"

    def __init__(self, connection_strings: AppSettings, secrets: Secrets, keys: Keys) -> None:
        """Take the same ports as `AppSettingCallers`."""
        super().__init__(connection_strings, secrets, keys)
