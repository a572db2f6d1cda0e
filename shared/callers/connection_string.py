"""Read and write connection strings of App Service and Functions apps as callers."""

from shared.callers.app_setting import AppSettingCallers
from shared.ports import AppSettings, Keys, Secrets


class ConnectionStringCallers(AppSettingCallers):
    """The caller kind of connection strings. They are read and written as settings are.

    A caller's address is `app's resource id|type|name`.
    """

    kind = "connection_string"
    noun = "connection string"

    def __init__(self, connection_strings: AppSettings, secrets: Secrets, keys: Keys) -> None:
        super().__init__(connection_strings, secrets, keys)
