"""Define the places where external systems of the demo store the URL that they call."""

from dataclasses import dataclass
from typing import Any, Protocol

from local_cloud.demo.platform import Platform
from local_cloud.demo.scope import APPLICATION_VAULT, GROUP

type Json = dict[str, Any]

_STORE = "contoso"


class UrlHolder(Protocol):
    """A place in which an external system stores a URL."""

    #: What kind of place it is, for people.
    kind: str

    def seed(self, azure: Json, text: str) -> None:
        """Add the place with this text to the `azure` section of a seed."""

    async def read(self, platform: Platform) -> str:
        """Return the text that a system currently gets from this place."""


@dataclass(frozen=True, slots=True)
class AppSetting:
    site: str
    name: str
    kind = "app setting"

    def seed(self, azure: Json, text: str) -> None:
        site = _find_or_add(azure["sites"], f"{GROUP}/Microsoft.Web/sites/{self.site}")
        site.setdefault("appSettings", {"WEBSITE_TIME_ZONE": "UTC"})[self.name] = text

    async def read(self, platform: Platform) -> str:
        settings = await platform.read_running_settings(f"{GROUP}/Microsoft.Web/sites/{self.site}")
        return settings[self.name]


@dataclass(frozen=True, slots=True)
class ConnectionString:
    site: str
    slot: str
    name: str
    kind = "connection string"

    def seed(self, azure: Json, text: str) -> None:
        site = _find_or_add(azure["sites"], f"{GROUP}/Microsoft.Web/sites/{self.site}")
        slots = site.setdefault("slots", [])
        slots.append(
            {
                "name": self.slot,
                "connectionStrings": {self.name: {"type": "Custom", "value": text}},
            }
        )

    async def read(self, platform: Platform) -> str:
        path = f"{GROUP}/Microsoft.Web/sites/{self.site}/slots/{self.slot}"
        found = await platform.call_azure(
            "POST", f"{path}/config/connectionstrings/list", "2024-11-01", "list_connection_strings"
        )
        return str(found["properties"][self.name]["value"])


@dataclass(frozen=True, slots=True)
class VaultSecret:
    name: str
    kind = "secret"

    def seed(self, azure: Json, text: str) -> None:
        path = f"{GROUP}/Microsoft.KeyVault/vaults/{APPLICATION_VAULT}"
        vault = _find_or_add(azure["vaults"], path)
        secret = {"name": self.name, "value": text, "contentType": "url"}
        vault.setdefault("secrets", []).append(secret)

    async def read(self, platform: Platform) -> str:
        return await platform.read_secret(APPLICATION_VAULT, self.name)


@dataclass(frozen=True, slots=True)
class ConfigurationKey:
    key: str
    kind = "App Configuration key"

    def seed(self, azure: Json, text: str) -> None:
        path = f"{GROUP}/Microsoft.AppConfiguration/configurationStores/{_STORE}"
        store = _find_or_add(azure["configurationStores"], path)
        store.setdefault("keyValues", []).append({"key": self.key, "value": text})

    async def read(self, platform: Platform) -> str:
        return await platform.read_configuration(_STORE, self.key)


@dataclass(frozen=True, slots=True)
class LogicApp:
    name: str
    kind = "logic app"

    def seed(self, azure: Json, text: str) -> None:
        call = {"type": "Http", "inputs": {"method": "POST", "uri": "@parameters('url')"}}
        azure["resources"].append(
            {
                "id": f"{GROUP}/Microsoft.Logic/workflows/{self.name}",
                "type": "Microsoft.Logic/workflows",
                "location": "westeurope",
                "tags": {"team": "integration"},
                "properties": {
                    "state": "Enabled",
                    "definition": {
                        "contentVersion": "1.0.0.0",
                        "parameters": {"url": {"type": "String"}},
                        "triggers": {},
                        "actions": {"Call": call},
                    },
                    "parameters": {"url": {"value": text}},
                },
            }
        )

    async def read(self, platform: Platform) -> str:
        path = f"{GROUP}/Microsoft.Logic/workflows/{self.name}"
        found = await platform.call_azure("GET", path, "2019-05-01", "get_logic_app")
        return str(found["properties"]["parameters"]["url"]["value"])


@dataclass(frozen=True, slots=True)
class ActionGroup:
    name: str
    kind = "action group"

    def seed(self, azure: Json, text: str) -> None:
        azure["resources"].append(
            {
                "id": f"{GROUP}/Microsoft.Insights/actionGroups/{self.name}",
                "type": "Microsoft.Insights/actionGroups",
                "location": "Global",
                "properties": {
                    "groupShortName": self.name[:12],
                    "enabled": True,
                    "webhookReceivers": [{"name": "flow", "serviceUri": text}],
                },
            }
        )

    async def read(self, platform: Platform) -> str:
        path = f"{GROUP}/Microsoft.Insights/actionGroups/{self.name}"
        found = await platform.call_azure("GET", path, "2023-01-01", "get_action_group")
        return str(found["properties"]["webhookReceivers"][0]["serviceUri"])


def _find_or_add(items: list[Json], resource_id: str) -> Json:
    for item in items:
        if item["id"] == resource_id:
            return item
    items.append({"id": resource_id})
    return items[-1]
