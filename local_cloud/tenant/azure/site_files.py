"""Serve workflows of Logic Apps (Standard), and the files from which an app loads them.

A write that replaces a file names the ETag of that file, or `*`. See
platform.md#logic-apps-standard.
"""

import hashlib
import json

from starlette.responses import Response
from starlette.routing import Route

from local_cloud.tenant.azure.arm_call import GROUP, ArmCall, build_arm_route
from local_cloud.tenant.azure.resources import JsonObject
from local_cloud.tenant.azure.site_runtime import get_configuration
from local_cloud.tenant.azure.site_settings import get_site_id
from local_cloud.tenant.azure.state import SITES
from local_cloud.tenant.core.platform_error import SimulatedPlatformError

_SITE = f"{GROUP}/providers/{SITES}/{{site}}"
_FILE = "hostruntime/admin/vfs/{path:path}"
OPTIONS = {"get_site_file": ("relativePath",), "put_site_file": ("relativePath",)}


def build_routes() -> list[Route]:
    return [
        build_arm_route(method, f"{base}/{path}", handler)
        for base in (f"{_SITE}/slots/{{slot}}", _SITE)
        for method, path, handler in (
            ("GET", "workflows", list_workflows),
            ("GET", "workflows/{name}", get_workflow),
            ("GET", _FILE, get_site_file),
            ("PUT", _FILE, put_site_file),
        )
    ]


async def list_workflows(call: ArmCall) -> JsonObject:
    """List the workflows of an app: the folders that contain a workflow.json."""
    files = _get_files(call)
    names = [path.partition("/")[0] for path in files if path.endswith("/workflow.json")]
    return call.build_page([_show_workflow(call, name) for name in sorted(names)])


async def get_workflow(call: ArmCall) -> JsonObject:
    name, files = call.get_path_part("name"), _get_files(call)
    if f"{name}/workflow.json" not in files:
        raise SimulatedPlatformError(404, "WorkflowNotFound", f"There is no workflow '{name}'.")
    shown = _show_workflow(call, name)
    parts = {"workflow.json": f"{name}/workflow.json", "connections.json": "connections.json"}
    shown["properties"]["files"] = {
        part: json.loads(files[path]) for part, path in parts.items() if path in files
    }
    return shown


async def get_site_file(call: ArmCall) -> Response:
    content = _require_file(call)
    return Response(content, media_type="application/json", headers={"ETag": _build_etag(content)})


async def put_site_file(call: ArmCall) -> Response:
    files, path = _get_files(call), call.get_path_part("path")
    package = get_configuration(call.azure, get_site_id(call), "appsettings").get(
        "WEBSITE_RUN_FROM_PACKAGE", "0"
    )
    if package != "0":
        raise SimulatedPlatformError(409, "Conflict", "The file system is read-only.")
    there, wanted = files.get(path), call.request.headers.get("If-Match")
    if there is not None and wanted not in ("*", _build_etag(there)):
        text = "ETag does not represent the latest state of the resource."
        raise SimulatedPlatformError(412, "PreconditionFailed", text)
    files[path] = await call.request.body()
    headers = {"ETag": _build_etag(files[path])}
    return Response(status_code=201 if there is None else 204, headers=headers)


def _get_files(call: ArmCall) -> dict[str, bytes]:
    return call.azure.site_files[get_site_id(call).lower()]


def _require_file(call: ArmCall) -> bytes:
    content = _get_files(call).get(call.get_path_part("path"))
    if content is None:
        raise SimulatedPlatformError(
            404, "NotFound", f"There is no file '{call.get_path_part('path')}'."
        )
    return content


def _build_etag(content: bytes) -> str:
    return f'"{hashlib.sha256(content).hexdigest()[:16]}"'


def _show_workflow(call: ArmCall, name: str) -> JsonObject:
    site_id = get_site_id(call)
    return {
        "id": f"{site_id}/workflows/{name}",
        "name": f"{site_id.rpartition('/')[2]}/{name}",
        "type": f"{SITES}/workflows",
        "kind": "Stateful",
        "properties": {"flowState": "Enabled", "health": {"state": "Healthy"}},
    }
