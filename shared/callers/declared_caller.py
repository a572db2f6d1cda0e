"""Read the callers that people declared, because the app cannot find them.

Only the owner of such a system can change it.
"""

import json
from collections.abc import AsyncGenerator, Sequence
from datetime import timedelta
from typing import override

from shared.callers.search import SearchedCallers, UnreadableCallers, build_manual_caller_error
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.caller_edit import CHILD_REFERENCE
from shared.domain.callers.declared_caller import (
    DECLARED_CALLER,
    CalledFlow,
    DeclaredCaller,
    build_callers_of_declaration,
)
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import NotFound, UnreadableRow
from shared.ports import DeclaredCallers


class DeclaredCallerKind(SearchedCallers):
    """The caller kind of declared callers. A caller's address is `caller/called flow`."""

    kind = DECLARED_CALLER
    #: The content is written in the format of a definition's child flow calls and URLs.
    is_json = True
    old_value_lifetime = timedelta(0)
    required_permissions = RequiredPermissions(fix="Declare the caller again.")

    def __init__(self, declared_callers: DeclaredCallers) -> None:
        self._declared = declared_callers

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        """Yield every declared caller, once for each flow that it calls."""
        found: list[DeclaredCaller] = []
        async for row in self._declared.scan():
            if isinstance(row, UnreadableRow):
                unreadable.record_unsearched(f"a declared caller ({row})")
            else:
                found.append(row.item)
        for declared in unreadable.search.list_remaining_places(found, lambda one: one.id):
            for caller in build_callers_of_declaration(declared):
                yield caller

    async def read(self, caller: Caller) -> CallerContent:
        """Return the ids of the flow that the system calls according to its declaration.

        Raises `NotFound` if the system is no longer declared to call the flow.
        """
        identity, _, flow_id = caller.address.partition("/")
        kept = await self._declared.get(DECLARED_CALLER, identity)
        flows = kept.item.flows if kept else ()
        flow = next((one for one in flows if one.id == flow_id), None)
        if flow is None:
            raise NotFound(f"The {caller.label} is no longer declared to call this flow.")
        return CallerContent(text=_format_flow_reference(flow))

    async def write(self, caller: Caller, value: CallerContent) -> None:  # noqa: ARG002 -- nothing is written
        raise build_manual_caller_error(caller, caller.manual_reason)


def _format_flow_reference(flow: CalledFlow) -> str:
    """Return a text in which a search finds the ids of the flow. Its URL does not work."""
    url, flow_id = flow.current_trigger_url_id, flow.current_flow_id
    path = f"workflows/{url}/triggers/any/paths/invoke"
    return json.dumps(
        {
            **({"url": f"https://declared.invalid/{path}"} if url else {}),
            **({CHILD_REFERENCE: flow_id} if flow_id else {}),
        }
    )
