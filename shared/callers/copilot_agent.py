"""Read topics and tools of Copilot Studio agents as callers.

Only a person changes them: an agent uses a change only after its maker has published it, and no
documented API changes and publishes one part of an agent. See platform.md#agents.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from shared.callers.dataverse_rows import DataverseRowCallers
from shared.callers.search import build_manual_caller_error
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.caller_edit import CHILD_REFERENCE
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import JobBlocked
from shared.ports import TextColumn, TextRow
from shared.reason import Reason

#: Any of these can be the id of a flow, whatever names it.
_GUID = re.compile(r"(?<![\w-])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![\w-])", re.IGNORECASE)
_TOOL = "kind: TaskDialog"


class CopilotAgentCallers(DataverseRowCallers):
    """The caller kind of topics and tools of Copilot Studio agents."""

    kind = "copilot_agent"
    #: The content is written in the format of a definition's child flow calls.
    is_json = True
    is_environment_only = True
    columns = tuple(
        TextColumn(
            entity_set="botcomponents",
            key="botcomponentid",
            name="name",
            text=text,
            condition=f"contains({text},'flowid') or contains({text},'workflows')",
            others=("modifiedon",),
            expand="parentbotid($select=name,publishedon)",
        )
        for text in ("data", "content")
    )

    def build_callers(self, place: Caller, row: TextRow) -> Iterator[Caller]:
        """Yield the topic or tool as a caller if it contains a flow id or a trigger URL."""
        urls = [match.url for match in find_trigger_urls(row.text)]
        flow_ids = _find_flow_ids(row.text)
        agent, part = _get_agent_name(row), _format_part_name(row)
        where = f"Open the agent {agent} in Copilot Studio. In its {part}, replace"
        if urls or flow_ids:
            yield replace(
                place,
                label=f"{part} of the agent {agent}",
                trigger_url_ids=frozenset(url.trigger_url_id for url in urls),
                retired_url_ids=frozenset(url.trigger_url_id for url in urls if url.is_retired),
                child_flow_ids=flow_ids,
                manual_reason=f"{where} the original by its copy, the flow of the same name that "
                "ends in (CMK), or the original's URL by the copy's URL. Publish the agent.",
                revert_reason=f"{where} the copy or its URL by the original. Publish the agent.",
            )

    async def read(self, caller: Caller) -> CallerContent:
        """Return the flow ids and trigger URLs of a topic or tool.

        Raises `JobBlocked` if an id or URL of the caller was removed but the agent was not
        published since, because the agent still uses it.
        """
        _, row = await self._read_row(caller)
        flow_ids, urls = _find_flow_ids(row.text), find_trigger_urls(row.text)
        held = {*flow_ids, *(match.url.trigger_url_id for match in urls)}
        if not caller.child_flow_ids | caller.trigger_url_ids <= held and not _is_published(row):
            raise JobBlocked(
                f"The {caller.label} was changed, but its agent was not published since.",
                fix=f"Publish the agent {_get_agent_name(row)} in Copilot Studio. Then retry.",
                code=Reason.MANUAL_CALLER,
            )
        calls = [{CHILD_REFERENCE: one} for one in sorted(flow_ids)]
        return CallerContent(text=json.dumps([*calls, *(match.url_text for match in urls)]))

    async def write(self, caller: Caller, value: CallerContent) -> None:  # noqa: ARG002 -- nothing is written
        raise build_manual_caller_error(caller, caller.manual_reason)


def _find_flow_ids(text: str) -> frozenset[str]:
    """Return the GUIDs of a text that contains `flowid`, in lower case."""
    return frozenset(one.lower() for one in _GUID.findall(text) if "flowid" in text.lower())


def _is_published(row: TextRow) -> bool:
    """Return whether the agent was published after the row's last change.

    True if it was never published.
    """
    published = text_at(mapping_at(row.others, "parentbotid"), "publishedon")
    # Both are UTC times in the same format.
    return not published or published >= (text_at(row.others, "modifiedon") or "")


def _get_agent_name(row: TextRow) -> str:
    return text_at(mapping_at(row.others, "parentbotid"), "name") or "without a name"


def _format_part_name(row: TextRow) -> str:
    return f"{'tool' if _TOOL in row.text else 'topic'} {row.name}"
