"""Serve a tenant as a cloud other than the public one.

The tenant knows the public host names and audiences only. This application replaces the other
cloud's names in each request, and the public names in each response. It rejects requests that use a
public name which the other cloud does not have. Sources:
`Microsoft.PowerApps.Administration.PowerShell` for Power Platform, the Azure CLI's list of clouds
for Azure.
"""

import re
from collections.abc import Callable, Mapping

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_AZURE_GOVERNMENT = {
    "login.microsoftonline.com": "login.microsoftonline.us",
    "management.azure.com": "management.usgovcloudapi.net",
    "vault.azure.net": "vault.usgovcloudapi.net",
    "core.windows.net": "core.usgovcloudapi.net",
    "azurewebsites.net": "azurewebsites.us",
    "azconfig.io": "azconfig.azure.us",
    "appconfig.azure.com": "appconfig.azure.us",
    "logic.azure.com": "logic.azure.us",
    "dev.azuresynapse.net": "dev.azuresynapse.usgovcloudapi.net",
}
#: Cloud -> public name -> the cloud's name.
NAMES: Mapping[str, Mapping[str, str]] = {
    "gcc": {
        "api.bap.microsoft.com": "gov.api.bap.microsoft.us",
        "api.powerapps.com": "gov.api.powerapps.us",
        "service.powerapps.com": "gov.service.powerapps.us",
        "api.flow.microsoft.com": "gov.api.flow.microsoft.us",
        "service.flow.microsoft.com": "gov.service.flow.microsoft.us",
        "api.powerplatform.com": "api.gov.powerplatform.microsoft.us",
        "logic.azure.com": "logic.azure.us",
    },
    "gcc_high": {
        **_AZURE_GOVERNMENT,
        "api.bap.microsoft.com": "high.api.bap.microsoft.us",
        "api.powerapps.com": "high.api.powerapps.us",
        "service.powerapps.com": "high.service.powerapps.us",
        "api.flow.microsoft.com": "high.api.flow.microsoft.us",
        "service.flow.microsoft.com": "high.service.flow.microsoft.us",
        "api.powerplatform.com": "api.high.powerplatform.microsoft.us",
        "crm4.dynamics.com": "crm.microsoftdynamics.us",
        "sharepoint.com": "sharepoint.us",
    },
    "dod": {
        **_AZURE_GOVERNMENT,
        "api.bap.microsoft.com": "api.bap.appsplatform.us",
        "api.powerapps.com": "api.apps.appsplatform.us",
        "service.powerapps.com": "service.apps.appsplatform.us",
        "api.flow.microsoft.com": "api.flow.appsplatform.us",
        "service.flow.microsoft.com": "service.flow.appsplatform.us",
        "api.powerplatform.com": "api.appsplatform.us",
        "crm4.dynamics.com": "crm.appsplatform.us",
        "sharepoint.com": "sharepoint-mil.us",
    },
    "china": {
        "login.microsoftonline.com": "login.partner.microsoftonline.cn",
        "management.azure.com": "management.chinacloudapi.cn",
        "vault.azure.net": "vault.azure.cn",
        "core.windows.net": "core.chinacloudapi.cn",
        "azurewebsites.net": "chinacloudsites.cn",
        "azconfig.io": "azconfig.azure.cn",
        "appconfig.azure.com": "appconfig.azure.cn",
        "logic.azure.com": "logic.azure.cn",
        "dev.azuresynapse.net": "dev.azuresynapse.azure.cn",
        "sharepoint.com": "sharepoint.cn",
        "api.bap.microsoft.com": "api.bap.partner.microsoftonline.cn",
        "api.powerapps.com": "api.powerapps.cn",
        "service.powerapps.com": "service.powerapps.cn",
        "api.flow.microsoft.com": "api.powerautomate.cn",
        "service.flow.microsoft.com": "service.powerautomate.cn",
        "api.powerplatform.com": "api.powerplatform.partner.microsoftonline.cn",
        "crm4.dynamics.com": "crm.dynamics.cn",
    },
}


class SovereignCloud:
    """Translates names of the public cloud to those of another cloud, and back."""

    def __init__(self, cloud: str) -> None:
        self._of = NAMES[cloud]
        power_platform = re.escape(self._of["api.powerplatform.com"])
        # The public hosts of environments end in two digits of the id, the others in one.
        self._public_environment = re.compile(
            r"([0-9a-z]+)\.([0-9a-f])([0-9a-f])\.environment\.api\.powerplatform\.com"
        )
        self._own_environment = re.compile(
            rf"([0-9a-z]+)([0-9a-f])\.([0-9a-f])\.environment\.{power_platform}"
        )
        self._to_own = _build_replacement(self._of)
        self._to_public = _build_replacement({own: public for public, own in self._of.items()})

    def use_public_names(self, text: str) -> str:
        """Return a text in which this cloud's names are replaced by the public ones."""
        text = self._own_environment.sub(r"\1.\2\3.environment.api.powerplatform.com", text)
        return self._to_public(text)

    def use_own_names(self, text: str) -> str:
        """Return a text in which public names are replaced by this cloud's."""
        own = self._of["api.powerplatform.com"]
        text = self._public_environment.sub(rf"\1\2.\3.environment.{own}", text)
        return self._to_own(text)

    def has_host(self, host: str) -> bool:
        return self.use_own_names(self.use_public_names(host)) == host.lower()

    def wrap(self, app: ASGIApp) -> ASGIApp:
        """Return an application that serves the given one under this cloud's names."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            host = dict(scope["headers"]).get(b"host", b"").decode().partition(":")[0]
            if not self.has_host(host):
                error = {"code": "MisdirectedRequest", "message": f"'{host}' is not served here."}
                await JSONResponse({"error": error}, 421)(scope, receive, send)
                return
            body = await _read_body(receive)
            content = self._translate_text(self.use_public_names, body)

            async def receive_translated() -> Message:
                return {"type": "http.request", "body": content, "more_body": False}

            await app(
                self._translate_scope(scope, len(content)),
                receive_translated,
                self._wrap_send(send),
            )

        return serve

    def wrap_identity(self, app: ASGIApp) -> ASGIApp:
        """Return the control application, whose tokens have this cloud's audiences."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            query = self.use_public_names(scope["query_string"].decode())
            await app({**scope, "query_string": query.encode()}, receive, send)

        return serve

    def _translate_scope(self, scope: Scope, length: int) -> Scope:
        headers = [
            (name, self.use_public_names(value.decode("latin-1")).encode("latin-1"))
            for name, value in scope["headers"]
            if name != b"content-length"
        ]
        return {
            **scope,
            "headers": [*headers, (b"content-length", str(length).encode())],
            "path": self.use_public_names(scope["path"]),
            "raw_path": self.use_public_names(scope["raw_path"].decode()).encode(),
            "query_string": self.use_public_names(scope["query_string"].decode()).encode(),
        }

    def _wrap_send(self, send: Send) -> Send:
        start: list[Message] = []
        parts: list[bytes] = []

        async def send_translated(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.append(message)
                return
            parts.append(message.get("body", b""))
            if message.get("more_body", False):
                return
            content = self._translate_text(self.use_own_names, b"".join(parts))
            headers = [
                (name, self.use_own_names(value.decode("latin-1")).encode("latin-1"))
                for name, value in start[0]["headers"]
                if name != b"content-length"
            ]
            headers.append((b"content-length", str(len(content)).encode()))
            await send({**start[0], "headers": headers})
            await send({"type": "http.response.body", "body": content, "more_body": False})

        return send_translated

    @staticmethod
    def _translate_text(translate: Callable[[str], str], body: bytes) -> bytes:
        try:
            return translate(body.decode()).encode()
        except UnicodeDecodeError:
            return body


def _build_replacement(names: Mapping[str, str]) -> Callable[[str], str]:
    any_name = "|".join(map(re.escape, sorted(names, key=len, reverse=True)))
    # A name may follow an escaped slash or colon; it is not a part of a longer name.
    start, end = r"(?:(?<![a-z0-9-])|(?<=%2F)|(?<=%3A))", r"(?![a-z0-9-])(?!\.[a-z])"
    pattern = re.compile(f"{start}(?:{any_name}){end}", re.IGNORECASE)
    return lambda text: pattern.sub(lambda match: names[match[0].lower()], text)


async def _read_body(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body", False):
            return bytes(body)
