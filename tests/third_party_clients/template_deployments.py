"""Record deployments of a template, to test what the Azure CLI sends.

The local tenant itself cannot deploy templates. This service creates no resource.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import SUBSCRIPTION, ArmCall, build_arm_route
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.core.routing import Service
from local_cloud.tenant.core.tenant import Tenant
from local_cloud.tenant.serving.services import SERVICES

_PATH = f"{SUBSCRIPTION}/providers/Microsoft.Resources/deployments/{{name}}"


@dataclass(slots=True)
class ReceivedDeployments:
    """Records the deployments that a local tenant with these services receives, in their order."""

    #: Each with `location` and `properties`, which has `template` and `parameters`.
    bodies: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def services(self) -> Sequence[Service]:
        """Return the services of a local tenant that accepts deployments at the scope of a
        subscription.
        """
        return [
            replace(one, routes=self._add_routes(one)) if one.name == "resource_manager" else one
            for one in SERVICES
        ]

    def _add_routes(self, service: Service) -> Any:
        def build_routes(tenant: Tenant) -> list[Route]:
            return [
                build_arm_route("POST", f"{_PATH}/validate", self.validate_deployment),
                build_arm_route("PUT", _PATH, self.put_deployment),
                *service.routes(tenant),
            ]

        return build_routes

    async def validate_deployment(self, call: ArmCall) -> Response:
        return self._answer(call, await _read_body(call), 200)

    async def put_deployment(self, call: ArmCall) -> Response:
        body = await _read_body(call)
        answer = self._answer(call, body, 201)
        self.bodies.append(body)
        return answer

    def _answer(self, call: ArmCall, body: Mapping[str, Any], status: int) -> Response:
        properties = body["properties"]
        if not body.get("location"):
            raise SimulatedPlatformError(400, "LocationRequired", "The location is required.")
        document = {
            "id": call.request.url.path,
            "name": call.get_path_part("name"),
            "type": "Microsoft.Resources/deployments",
            "location": body["location"],
            "properties": {"provisioningState": "Succeeded", "mode": properties["mode"]},
        }
        return JSONResponse(document, status)


async def _read_body(call: ArmCall) -> Mapping[str, Any]:
    """Return the JSON body of a request.

    The Azure CLI writes the member name `template` without quotation marks.
    """
    text = (await call.request.body()).decode()
    body: Mapping[str, Any] = json.loads(text.replace(", template:{", ', "template": {', 1))
    return body
