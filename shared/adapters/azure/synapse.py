"""Read and write pipelines and other parts of Synapse workspaces. See platform.md#synapse."""

import base64
import builtins
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from urllib.parse import quote, urlsplit

from shared.adapters.http.client import (
    HttpClient,
    HttpService,
    ServiceRequest,
    ServiceResponse,
    is_url_in_domain,
    parse_object,
)
from shared.adapters.http.errors import FailedResponse, parse_retry_after
from shared.domain.clouds import Cloud
from shared.domain.definitions.json_values import as_mapping, mapping_at, objects_at, text_at
from shared.errors import NotFound, PlatformError, ServiceUnavailable
from shared.ports import SynapseArtifacts

_VERSION = {"api-version": "2020-12-01"}
_ACCEPTED = 202
#: Waits before the state of a save is read again; the service may ask for longer ones.
_PAUSES = tuple(timedelta(seconds=seconds) for seconds in (0.5, 1, 2, 4, 8))
#: How long a job waits for a save that takes longer than these, and the longest of these.
_LATER = timedelta(seconds=30)
_OTHER_ETAG = "PreconditionFailed"


class WorkspaceArtifacts(SynapseArtifacts):
    """Implements the port `SynapseArtifacts` with the development endpoint of each workspace."""

    def __init__(self, http: HttpClient, service: HttpService, cloud: Cloud) -> None:
        self._http = http
        self._service = service
        self._domain = cloud.synapse_domain

    async def list(self, workspace: str, collection: str) -> builtins.list[Mapping[str, object]]:
        items = self._http.read_items(self._service, self._build_request(workspace, collection))
        return [as_mapping(item) async for item in items]

    async def read(self, workspace: str, collection: str, name: str) -> Mapping[str, object]:
        call = self._build_request(workspace, f"{collection}/{quote(name, safe='')}")
        return parse_object(self._service, await self._http.send(self._service, call))

    async def find_denied_actions(self, workspace: str, actions: Sequence[str]) -> Sequence[str]:
        call = self._build_request(workspace, "checkAccessSynapseRbac")
        body = {
            "subject": {"principalId": await self._read_object_id(call.url)},
            "actions": [{"id": action, "isDataAction": True} for action in actions],
            "scope": f"workspaces/{workspace}",
        }
        question = replace(call, method="POST", body=body, is_repeatable=True)
        answer = parse_object(self._service, await self._http.send(self._service, question))
        allowed = {
            text_at(one, "actionId")
            for one in objects_at(answer, "AccessDecisions")
            if text_at(one, "accessDecision") == "Allowed"
        }
        return [action for action in actions if action not in allowed]

    async def _read_object_id(self, url: str) -> str:
        credential, token = self._service.credential, ""
        async with self._http.open_pipeline(self._service, url):
            if credential:
                token = (await credential.get_token(self._service.scope)).token
        payload = token.partition(".")[2].partition(".")[0]
        try:
            claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        except ValueError:
            claims = {}
        if found := text_at(as_mapping(claims), "oid"):
            return found
        raise PlatformError("The token has no object id", code="NoObjectId", status=401)

    async def write(
        self,
        workspace: str,
        collection: str,
        name: str,
        properties: Mapping[str, object],
        *,
        etag: str,
    ) -> None:
        call = replace(
            self._build_request(workspace, f"{collection}/{quote(name, safe='')}"),
            method="PUT",
            headers={"If-Match": etag},
            body={"name": name, "properties": properties},
        )
        answer, state = await self._http.send(self._service, call), None
        later = _LATER
        for pause in _PAUSES:
            if answer.status != _ACCEPTED:
                break
            wait = max(pause, parse_retry_after(answer.headers) or pause)
            if wait > _LATER:
                later = wait
                break
            await self._http.pause(wait)
            if state is None or "Location" in answer.headers:
                state = self._build_status_request(call, answer)
            try:
                answer = await self._http.send(self._service, state)
            except NotFound as err:  # of the state: the item itself may be saved
                text = f"{self._service.name}: no state of the save"
                raise ServiceUnavailable(text) from err
        if answer.status == _ACCEPTED:
            raise ServiceUnavailable(f"{self._service.name}: still saving", retry_after=later)
        await self._require_saved(answer)

    def _build_status_request(
        self, call: ServiceRequest, answer: ServiceResponse
    ) -> ServiceRequest:
        """Return the request that reads the state of a save, at the URL in the response.

        Raises `ServiceUnavailable` if the URL is on another host, which must not get the access
        token.
        """
        location = answer.headers.get("Location", "")
        if not is_url_in_domain(location, urlsplit(call.url).hostname or ""):
            raise ServiceUnavailable(f"{self._service.name}: no state of the save")
        return ServiceRequest(method="GET", url=location)

    async def _require_saved(self, answer: ServiceResponse) -> None:
        """Raise an error if the workspace could not save, which it reports with status 200."""
        body = parse_object(self._service, answer)
        error = mapping_at(body, "error")
        if error or text_at(body, "status") in {"Failed", "Canceled"}:
            failed = FailedResponse(
                service=self._service.name,
                method="PUT",
                is_create=False,
                status=412 if text_at(error, "code") == _OTHER_ETAG else 400,
                headers=answer.headers,
                body=answer.body,
            )
            raise await self._http.handle_failed_response(self._service, failed)

    def _build_request(self, workspace: str, path: str) -> ServiceRequest:
        url = f"https://{workspace}.{self._domain}/{path}"
        return ServiceRequest(method="GET", url=url, params=_VERSION)
