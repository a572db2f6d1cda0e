"""Read and write Automation variables as callers, and find runbooks with a URL.

Only a person changes a runbook. Azure has no ETag for variables, so a variable is compared before a
write and after it. See platform.md#automation.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import override

from shared.callers.search import (
    SearchedCallers,
    UnreadableCallers,
    build_manual_caller_error,
    find_callers_in_text,
    get_id,
)
from shared.concurrency import read_each
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.domain.plans.pending_actions import format_count
from shared.errors import Conflict, NotFound
from shared.ports import ResourceWriter, TaggedResourceReader

_ACCOUNTS = "Microsoft.Automation/automationAccounts"
_VERSION = "2024-10-23"
_RUNBOOK = "Change the URL in the runbook, test it, and publish it."
#: Encrypted variables of an account that the search names.
_MOST_NAMED = 20


@dataclass(frozen=True, slots=True)
class _Place:
    resource_id: str
    label: str
    text: str = field(repr=False)
    manual_reason: str = ""


@dataclass(frozen=True, slots=True)
class _AccountReading:
    places: Sequence[_Place]
    encrypted: Sequence[str]


class AutomationCallers(SearchedCallers):
    """The caller kind of Automation variables and runbooks.

    A caller's address is the id of the variable or runbook.
    """

    kind = "automation"
    is_json = False
    #: The next job reads the new value. The period without calls covers jobs in progress.
    old_value_lifetime = timedelta(0)
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
        role="Automation",
        role_purpose="Finds trigger URLs in variables and runbooks of Automation, and "
        "replaces them in variables. Deletes nothing.",
        fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again. Check "
        "encrypted variables yourself: Azure never returns their values.",
        resource_type=_ACCOUNTS,
        api_version=_VERSION,
        actions=(
            f"{_ACCOUNTS}/read",
            f"{_ACCOUNTS}/runbooks/content/read",
            f"{_ACCOUNTS}/runbooks/read",
            f"{_ACCOUNTS}/variables/read",
            f"{_ACCOUNTS}/variables/write",
        ),
    )

    def __init__(
        self, tagged_resources: TaggedResourceReader, resource_writer: ResourceWriter
    ) -> None:
        self._reader = tagged_resources
        self._writer = resource_writer

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        accounts, locks = await unreadable.list_resources_with_locks(
            self._reader, _ACCOUNTS, _VERSION, "Automation accounts"
        )
        readings = unreadable.read_readable_places(
            accounts, get_id, self._read_account, _format_account_label
        )
        async with aclosing(readings):
            async for account, found in readings:
                if found.encrypted:
                    unreadable.record_unsearched(
                        _describe_encrypted_variables(account, found.encrypted)
                    )
                for place in found.places:
                    reason = place.manual_reason or locks.explain_lock_removal(place.resource_id)
                    caller = self.build_place(place.resource_id, place.label, reason)
                    for one in find_callers_in_text(place.text, caller):
                        yield one

    async def read(self, caller: Caller) -> CallerContent:
        """Return the value of a variable, or the text of a published runbook."""
        if _is_runbook(caller.address):
            return CallerContent(text=await self._read_runbook_text(caller.address))
        found = await self._reader.get(caller.address, _VERSION)
        text = text_at(mapping_at(found, "properties"), "value") or ""
        return CallerContent(text=text, etag=hash_texts(caller.address, text))

    async def write(self, caller: Caller, value: CallerContent) -> None:
        if _is_runbook(caller.address):
            raise build_manual_caller_error(caller, _RUNBOOK)
        now = await self.read(caller)
        if now.text == value.text:
            return
        if value.etag not in {"", now.etag}:
            raise Conflict(f"The {caller.label} was changed")
        name = caller.address.rpartition("/")[2]
        body = {"name": name, "properties": {"value": value.text}}
        await self._writer.patch(caller.address, _VERSION, body)
        if (await self.read(caller)).text != value.text:
            raise Conflict(f"The {caller.label} was changed by somebody else")

    async def _read_account(self, account: Mapping[str, object]) -> _AccountReading:
        account_id, where = get_id(account), f"Automation account {text_at(account, 'name')}"
        variables = await self._reader.list_children(account_id, "variables", _VERSION)
        runbooks = await self._reader.list_children(account_id, "runbooks", _VERSION)

        async def read_runbook(runbook: Mapping[str, object]) -> _Place:
            identity, text = get_id(runbook), ""
            # A runbook that was never published has no content.
            if text_at(mapping_at(runbook, "properties"), "state") != "New":
                try:
                    text = await self._read_runbook_text(identity)
                except NotFound:
                    text = ""
            label = f"runbook {text_at(runbook, 'name')} of the {where}"
            return _Place(identity, label, text, _RUNBOOK)

        found, encrypted = list[_Place](), list[str]()
        for variable in variables:
            properties = mapping_at(variable, "properties")
            name = text_at(variable, "name") or ""
            if properties.get("isEncrypted"):
                encrypted.append(name)
            else:
                text = text_at(properties, "value") or ""
                label = f"variable {name} of the {where}"
                found.append(_Place(get_id(variable), label, text))
        return _AccountReading([*found, *await read_each(runbooks, read_runbook)], encrypted)

    async def _read_runbook_text(self, resource_id: str) -> str:
        return await self._reader.get_text(f"{resource_id}/content", _VERSION)


def _describe_encrypted_variables(account: Mapping[str, object], names: Sequence[str]) -> str:
    named = ", ".join(sorted(names)[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    named += f" and {more} more" if more > 0 else ""
    count = format_count(len(names), "encrypted variable")
    return f"{count} of the {_format_account_label(account)}: {named}"


def _is_runbook(resource_id: str) -> bool:
    return resource_id.split("/")[-2].lower() == "runbooks"


def _format_account_label(account: Mapping[str, object]) -> str:
    return f"Automation account {text_at(account, 'name')}"
