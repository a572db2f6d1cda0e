"""Serve the trigger outputs of a run: headers and body of the call that started it.

See platform.md#trigger-outputs.
"""

import base64
import hashlib
import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import quote

from local_cloud.tenant.core.clock import format_time
from local_cloud.tenant.core.platform_error import SimulatedPlatformError
from local_cloud.tenant.environments.flow import Flow, Run

#: How long a link works: until the next full hour and this.
_LIFETIME = timedelta(hours=4)
_AUTHORIZATION = "authorization"
#: Operation option of a trigger that leaves the token of a call in the outputs.
_KEEP_AUTHORIZATION = "IncludeAuthorizationHeadersInOutputs"


def build_trigger_outputs(
    trigger: Mapping[str, Any], headers: Mapping[str, str], body: bytes
) -> bytes | None:
    """Return the outputs of a called trigger, or None if the trigger secures them."""
    secured = ((trigger.get("runtimeConfiguration") or {}).get("secureData") or {}).get(
        "properties", ()
    )
    if "outputs" in secured:
        return None
    keeps_token = _KEEP_AUTHORIZATION in str(trigger.get("operationOptions") or "")
    shown = {
        _format_name(name): value
        for name, value in headers.items()
        if keeps_token or name.lower() != _AUTHORIZATION
    }
    return json.dumps({"headers": shown} | ({"body": _parse_body(body)} if body else {})).encode()


def _format_name(name: str) -> str:
    """Return the name of a header as the platform writes it. Its own headers are in lower case."""
    if name.startswith(("x-ms-", "aeg-")):
        return name
    return "-".join(part.capitalize() for part in name.split("-"))


def _parse_body(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        content = base64.b64encode(body).decode()
        return {"$content-type": "application/octet-stream", "$content": content}


def build_outputs_link(base: str, flow: Flow, run: Run, now: datetime) -> dict[str, Any] | None:
    """Return the signed link to the trigger outputs of a run, or None if it has none.

    `base` is the part of the URL before `/workflows`.
    """
    if run.trigger_outputs is None:
        return None
    hour = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    path, expires = f"/runs/{run.name}/contents/TriggerOutputs", format_time(hour + _LIFETIME)
    query = {
        "api-version": "2016-06-01",
        "se": expires,
        "sp": f"{path}/read",
        "sv": "1.0",
        "sig": _sign_link(flow, run, expires),
    }
    asked = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    digest = base64.b64encode(
        hashlib.md5(run.trigger_outputs, usedforsecurity=False).digest()
    ).decode()
    return {
        "uri": f"{base}/workflows/{flow.workflow_id}{path}?{asked}",
        "contentVersion": digest,
        "contentSize": len(run.trigger_outputs),
        "contentHash": {"algorithm": "md5", "value": digest},
    }


def read_trigger_outputs(
    flow: Flow, run: Run, query: Mapping[str, str], authorization: str, now: datetime
) -> bytes:
    """Return the trigger outputs behind a link.

    Rejects an invalid or expired link, and a request that also has a token.
    """
    if authorization:
        message = "The request has both a signature and an Authorization header."
        raise SimulatedPlatformError(401, "DirectApiAuthorizationRequired", message)
    expires = query.get("se", "")
    if not hmac.compare_digest(
        query.get("sig", "").encode(), _sign_link(flow, run, expires).encode()
    ):
        message = "The authentication credentials are not valid."
        raise SimulatedPlatformError(401, "AuthorizationFailed", message)
    if datetime.fromisoformat(expires) < now:
        message = "The provided shared access signature has expired."
        raise SimulatedPlatformError(403, "AuthorizationFailed", message)
    if run.trigger_outputs is None:
        message = f"The content of run '{run.name}' could not be found."
        raise SimulatedPlatformError(404, "ContentNotFound", message)
    return run.trigger_outputs


def _sign_link(flow: Flow, run: Run, expires: str) -> str:
    digest = hmac.digest(flow.access_key, f"{run.name}/{expires}".encode(), hashlib.sha256)
    return urlsafe_b64encode(digest).rstrip(b"=").decode()
