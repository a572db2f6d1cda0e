"""Read and write cloud flows as rows of Dataverse, which is the supported way to write flows.

A copy is created *on behalf of its owner* (`MSCRMCallerID`, or `CallerObjectId` for an Entra id),
so the owner owns it from the start. If the app created the copy as itself and assigned it later,
the app would own it for a moment, and would need the privilege to assign. See
platform.md#dataverse-api, #impersonation, #conditional-writes.
"""

import re
from collections.abc import AsyncIterator, Collection
from contextlib import suppress
from itertools import batched
from typing import Literal

from pydantic import AwareDatetime, Field

from shared.adapters.dataverse.web_api import (
    IDS_IN_A_FILTER,
    DataverseAdapter,
    filter_by_ids,
)
from shared.adapters.http.client import ServiceRequest
from shared.adapters.http.wire import Wire, parse_wire
from shared.domain.environment import Environment
from shared.domain.flow import FlowState, Workflow, WorkflowDraft, WorkflowSummary, WorkflowUpdate
from shared.domain.flow_owner import FlowOwner, OwnerStatus
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError, NotFound
from shared.ports import Workflows

TABLE = "workflows"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
CLOUD_FLOWS = "category eq 5 and type eq 1"
COLUMNS = (
    "workflowid,name,statecode,clientdata,_ownerid_value,ismanaged,description,modernflowtype,"
    "modifiedon,workflowidunique"
)
#: The owner of each flow, in the same request.
OWNER = (
    "owninguser($select=fullname,isdisabled,azureactivedirectoryobjectid),owningteam($select=name)"
)
#: Columns of a flow without its definition.
LEAN_COLUMNS = "workflowid,name,statecode"
_STATES = {0: FlowState.OFF, 1: FlowState.ON, 2: FlowState.SUSPENDED}
#: Always written together (platform.md#state-and-status).
_CODES = {
    FlowState.OFF: {"statecode": 0, "statuscode": 1},
    FlowState.ON: {"statecode": 1, "statuscode": 2},
}


class _OwningUser(Wire):
    name: str | None = Field(None, alias="fullname")
    is_disabled: bool = Field(False, alias="isdisabled")
    entra_id: str | None = Field(None, alias="azureactivedirectoryobjectid")


class _OwningTeam(Wire):
    name: str | None = None


class WorkflowEntity(Wire):
    """A row of the table `workflow`."""

    workflowid: str
    name: str | None = None
    statecode: Literal[0, 1, 2]
    clientdata: str | None = None
    owner: str = Field("", alias="_ownerid_value")
    ismanaged: bool = False
    description: str | None = None
    modernflowtype: int | None = None
    modifiedon: AwareDatetime | None = None
    workflowidunique: str | None = None
    etag: str = Field("", alias="@odata.etag")
    owning_user: _OwningUser | None = Field(None, alias="owninguser")
    owning_team: _OwningTeam | None = Field(None, alias="owningteam")

    def to_domain(self) -> Workflow:
        """Return the flow as a domain object."""
        return Workflow(
            workflow_id=self.workflowid.lower(),
            name=redact(self.name or ""),
            state=_STATES[self.statecode],
            client_data=self.clientdata or "",
            owner_id=self.owner,
            is_managed=self.ismanaged,
            description=self.description or "",
            etag=self.etag,
            modern_type=self.modernflowtype,
            modified_at=self.modifiedon,
            unique_id=(self.workflowidunique or "").lower(),
            owner=self._build_owner(),
        )

    def _build_owner(self) -> FlowOwner | None:
        row_id = self.owner.lower()
        if not row_id or not self.model_fields_set & {"owning_user", "owning_team"}:
            return None
        if user := self.owning_user:
            return FlowOwner(
                id=row_id,
                entra_id=(user.entra_id or "").lower(),
                name=user.name or "",
                status=OwnerStatus.DISABLED if user.is_disabled else OwnerStatus.ENABLED,
            )
        if team := self.owning_team:
            return FlowOwner(id=row_id, name=team.name or "", status=OwnerStatus.ENABLED)
        return FlowOwner(id=row_id, status=OwnerStatus.NOT_FOUND)


class DataverseWorkflows(DataverseAdapter, Workflows):
    """Implements the port `Workflows` with Dataverse's Web API."""

    async def list(
        self, environment: Environment, *, managed_only: bool = False
    ) -> AsyncIterator[Workflow]:
        which = f"{CLOUD_FLOWS} and ismanaged eq true" if managed_only else CLOUD_FLOWS
        params = {"$filter": which, "$select": COLUMNS}
        async for row in self._dataverse.read_rows(environment, TABLE, params):
            yield parse_wire(WorkflowEntity, row).to_domain()

    async def get(self, environment: Environment, workflow_id: str) -> Workflow:
        call = ServiceRequest(
            method="GET", url=_format_row_path(workflow_id), params={"$select": COLUMNS}
        )
        document = await self._dataverse.read(environment, call)
        return parse_wire(WorkflowEntity, document).to_domain()

    async def read_summaries(
        self, environment: Environment, workflow_ids: Collection[str]
    ) -> dict[str, WorkflowSummary | CmkflowError]:
        # One invalid id would fail the whole filter.
        ids_of_rows = filter(_ID.fullmatch, dict.fromkeys(workflow_ids))
        asked = list(batched(ids_of_rows, IDS_IN_A_FILTER, strict=False))
        queries = [
            {
                "$filter": f"{CLOUD_FLOWS} and ({filter_by_ids('workflowid', ids)})",
                "$select": LEAN_COLUMNS,
            }
            for ids in asked
        ]
        found = {one: _build_not_found_error(one) for one in workflow_ids}
        answers = await self._dataverse.read_rows_or_errors(environment, TABLE, queries)
        for ids, answer in zip(asked, answers, strict=True):
            found |= _parse_summaries(ids, answer)
        return found

    async def create(self, environment: Environment, draft: WorkflowDraft) -> None:
        body: dict[str, object] = {
            "category": 5,
            "type": 1,
            "primaryentity": "none",
            "name": draft.name,
            "description": draft.description,
            "clientdata": draft.client_data,
        }
        if draft.modern_type:  # 0 is the default
            body["modernflowtype"] = draft.modern_type
        caller = "CallerObjectId" if draft.owner_is_entra_id else "MSCRMCallerID"
        await self._dataverse.send(
            environment,
            ServiceRequest(
                method="PATCH",
                url=_format_row_path(draft.workflow_id),
                headers={"If-None-Match": "*", caller: draft.owner_id},
                body=body,
            ),
        )

    async def update(
        self, environment: Environment, workflow_id: str, change: WorkflowUpdate, *, etag: str
    ) -> None:
        headers = {"If-Match": etag}
        if change.on_behalf_of is not None:
            headers["MSCRMCallerID"] = change.on_behalf_of
        await self._dataverse.send(
            environment,
            ServiceRequest(
                method="PATCH",
                url=_format_row_path(workflow_id),
                headers=headers,
                body=_build_update_body(change),
            ),
        )

    async def delete(self, environment: Environment, workflow_id: str, *, etag: str = "*") -> None:
        call = ServiceRequest(
            method="DELETE", url=_format_row_path(workflow_id), headers={"If-Match": etag}
        )
        with suppress(NotFound):
            await self._dataverse.send(environment, call)


def _parse_summaries(
    ids: Collection[str], answer: list[object] | CmkflowError
) -> dict[str, WorkflowSummary | CmkflowError]:
    try:
        if isinstance(answer, CmkflowError):
            raise answer
        known = [parse_wire(WorkflowEntity, row).to_domain().summary for row in answer]
    except CmkflowError as err:
        return dict.fromkeys(ids, err)
    by_id = {one.workflow_id: one for one in known}
    return {one: by_id.get(one.lower()) or _build_not_found_error(one) for one in ids}


def _build_not_found_error(workflow_id: str) -> WorkflowSummary | CmkflowError:
    return NotFound(f"No flow {workflow_id} in Dataverse.")


def _format_row_path(workflow_id: str) -> str:
    return f"{TABLE}({workflow_id})"


def _build_update_body(change: WorkflowUpdate) -> dict[str, object]:
    body: dict[str, object] = {}
    if change.name is not None:
        body["name"] = change.name
    if change.client_data is not None:
        body["clientdata"] = change.client_data
    if change.state is not None:
        if change.state not in _CODES:
            raise ValueError("only the platform can suspend a flow")
        body |= _CODES[change.state]
    return body
