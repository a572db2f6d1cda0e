"""Read and write files of Logic Apps (Standard) as callers.

The files contain workflows, connections and parameters. Settings of such an app are callers of the
kind `app_setting`. See platform.md#logic-apps-standard.
"""

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from typing import override

from shared.callers.search import SearchedCallers, UnreadableCallers, find_callers_in_text
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.errors import Conflict, NotFound, PlatformError, TransientError
from shared.ports import AppSettings, ResourceReader, Site, SiteFiles
from shared.read_only_locks import ReadOnlyLocks

_SHARED_FILES = ("connections.json", "parameters.json")
_PACKAGE = "WEBSITE_RUN_FROM_PACKAGE"
#: In Azure's 400 for a request that the app's runtime does not answer.
_NO_RUNTIME = "from host runtime"
_FROM_PACKAGE = (
    "Its app runs from a package, so its files are read-only. Change the URL in the project, and "
    "deploy the package again."
)


@dataclass(frozen=True, slots=True)
class _SiteReading:
    texts: dict[str, str] = field(repr=False)
    manual_reason: str


class LogicAppStandardCallers(SearchedCallers):
    """The caller kind of Logic Apps (Standard).

    A caller's address is `app's resource id|path of a file`.
    """

    kind = "logic_app_standard"
    is_json = True
    #: The app loads a changed file. The period without calls covers runs in progress.
    old_value_lifetime = timedelta(0)
    #: Granted by infra/modules/caller-group.bicep.
    required_permissions = RequiredPermissions(
        role="logic app files",
        role_purpose="Finds and replaces trigger URLs in files of Logic Apps "
        "(Standard). Allows every request to the runtime of apps.",
        fix="Add its resource group to CMK_CALLER_RESOURCE_GROUP_IDS and deploy again.",
        resource_type="Microsoft.Web/sites",
        api_version="2024-11-01",
        actions=(
            "Microsoft.Web/sites/read",
            "Microsoft.Web/sites/config/list/action",
            "Microsoft.Web/sites/hostruntime/*",
            "Microsoft.Web/sites/workflows/read",
            "Microsoft.Web/sites/slots/read",
            "Microsoft.Web/sites/slots/config/list/action",
            "Microsoft.Web/sites/slots/hostruntime/*",
            "Microsoft.Web/sites/slots/workflows/read",
        ),
    )

    def __init__(
        self, app_settings: AppSettings, resources: ResourceReader, site_files: SiteFiles
    ) -> None:
        self._settings = app_settings
        self._resources = resources
        self._files = site_files

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        listed = await unreadable.list_readable(self._settings.read_sites(), "logic apps")
        sites = [one for one in listed if one.is_workflow_app]
        locks = (
            await unreadable.read_locks(self._resources, "read-only locks")
            if sites
            else ReadOnlyLocks({})
        )
        readings = unreadable.read_readable_places(
            sites, lambda site: site.id, self._read_site, lambda site: f"logic app {site.name}"
        )
        async with aclosing(readings):
            async for site, found in readings:
                reason = locks.explain_lock_removal(site.id) or found.manual_reason
                for path, text in found.texts.items():
                    label = f"file {path} of the logic app {site.name}"
                    address = f"{site.id}|{path}"
                    place = self.build_place(address, label, reason, resource=site.id)
                    for caller in find_callers_in_text(text, place):
                        yield caller

    async def read(self, caller: Caller) -> CallerContent:
        """Return the text of a file. Raises `TransientError` while the runtime does not answer."""
        with _convert_runtime_errors(caller):
            found = await self._files.read(*_parse_address(caller))
        return CallerContent(text=found.text, etag=found.etag)

    async def write(self, caller: Caller, value: CallerContent) -> None:
        """Replace the file if it is unchanged since the read.

        Raises `TransientError` while the runtime does not answer.
        """
        now = await self.read(caller)
        if now.text == value.text:
            return
        if value.etag not in {"", now.etag}:
            raise Conflict(f"The {caller.label} was changed")
        with _convert_runtime_errors(caller):
            await self._files.write(*_parse_address(caller), value.text, etag=now.etag)

    async def _read_site(self, site: Site) -> _SiteReading:
        workflows = await self._files.list_workflows(site.id)
        texts: dict[str, str] = {}
        for path in (*(f"{name}/workflow.json" for name in workflows), *_SHARED_FILES):
            with suppress(NotFound):
                texts[path] = (await self._files.read(site.id, path)).text
        reason = ""
        if any(find_trigger_urls(text) for text in texts.values()):
            package = (await self._settings.read(site.id)).get(_PACKAGE, "")
            reason = _FROM_PACKAGE if package not in ("", "0") else ""
        return _SiteReading(texts, reason)


@contextmanager
def _convert_runtime_errors(caller: Caller) -> Iterator[None]:
    """Raise `TransientError` for the error of a runtime that does not answer.

    A runtime restarts after a change of a file.
    """
    try:
        yield
    except PlatformError as err:
        if _NO_RUNTIME not in str(err):
            raise
        text = f"The runtime of the {caller.label} does not answer: {err}"
        raise TransientError(text, retry_after=timedelta(seconds=15)) from err


def _parse_address(caller: Caller) -> tuple[str, str]:
    site_id, _, path = caller.address.partition("|")
    return site_id, path
