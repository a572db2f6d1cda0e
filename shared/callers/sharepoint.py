"""Read the webhooks of SharePoint lists and the site scripts that call a flow.

Only a person changes them.

Documented: an application with full control lists all subscriptions of a list, and reads or updates
only those that it created (learn.microsoft.com/sharepoint/dev/apis/webhooks/lists/get-subscription,
update-subscription). SharePoint validates the URL of a subscription, which ends after 180 days at
most (…/webhooks/overview-sharepoint-webhooks). Functions for site scripts are POST requests
(…/declarative-customization/site-design-rest-api). Site scripts belong to the tenant: each site
lists the same. Reported: Sites.Selected works for the REST API (microsoft-graph-docs #17373).
Assumed: full control by Sites.Selected suffices for the subscriptions of a site.
"""

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import timedelta
from typing import override
from urllib.parse import quote

from shared.callers.json_service import JsonServiceCallers
from shared.callers.search import (
    UnreadableCallers,
    build_manual_caller_error,
    convert_long_outages,
    find_callers_in_text,
)
from shared.domain.callers.caller import Caller, CallerContent
from shared.domain.callers.unchanged_content import hash_texts
from shared.domain.definitions.json_values import text_at
from shared.domain.environment import Environment
from shared.domain.permissions import RequiredPermissions
from shared.errors import NotFound, PlatformError
from shared.ports import JsonService

SHAREPOINT = JsonService(
    name="SharePoint",
    headers={"Accept": "application/json;odata=nometadata"},
    scopes=lambda settings: settings.sharepoint_sites,
    scope_pattern=r"[A-Za-z0-9-]+\.sharepoint(-mil)?\.(com|us|cn)(/[^/?#\s]+)*",
    scope_hint="Use the address of a site, such as contoso.sharepoint.com/sites/sales.",
)
_LISTS = "_api/web/lists"
_SCRIPTS = "_api/Microsoft.Sharepoint.Utilities.WebTemplateExtensions.SiteScriptUtility"
LIST_SCRIPTS, READ_SCRIPT = f"{_SCRIPTS}.GetSiteScripts", f"{_SCRIPTS}.GetSiteScriptMetadata"
_CHANGE_WEBHOOK = (
    "SharePoint lets only the application that created a webhook change it, so the app cannot. Ask "
    "the owner of that application to set notificationUrl to the copy's URL, or to create a "
    "webhook with it and delete this one, and to use it at each renewal. SharePoint accepts the "
    "URL only if the flow answers with status 200 and the query parameter validationtoken as text."
)
_CHANGE_SCRIPT = (
    "Only a SharePoint administrator may change a site script, which belongs to the whole tenant, "
    "so the app does not. In its content (Get-SPOSiteScript -Identity {id}), replace the URL of "
    "the triggerFlow action by the copy's URL, and store it with Set-SPOSiteScript -Identity {id} "
    "-Content."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    site: str
    path: str
    #: Of the list or script.
    name: str
    script_id: str = ""

    @property
    def key(self) -> str:
        return f"{self.path}/{self.script_id}"

    @property
    def label(self) -> str:
        """Return a name for people.

        All lists of a site have the same name, because a site grants or denies access to all.
        """
        return self.name if self.script_id else f"webhooks in the SharePoint site {self.site}"


class SharePointCallers(JsonServiceCallers):
    """The caller kind of SharePoint webhooks and site scripts.

    A caller's address is a path, with the id of the webhook or site script.
    """

    kind = "sharepoint"
    service = SHAREPOINT
    is_json = False
    #: The next change in the list, or the next use of the site script, calls the new URL.
    old_value_lifetime = timedelta(0)
    required_permissions = RequiredPermissions(
        fix="Check that the site exists, and let an administrator grant the app's identity the "
        "application permission Sites.FullControl.All of Office 365 SharePoint Online, or "
        "Sites.Selected with full control of the site: others do not list all webhooks. Or remove "
        "the site from CMK_SHAREPOINT_SITES.",
    )

    async def require_readable_scope(self, scope: str) -> None:
        await self._read_lists(scope)

    @override
    async def find_callers(
        self, environments: Sequence[Environment], unreadable: UnreadableCallers
    ) -> AsyncGenerator[Caller]:
        places = await self._list_places(unreadable)
        readings = unreadable.read_readable_places(
            places, lambda one: one.key, self._read_place, lambda one: one.label
        )
        async with aclosing(readings):
            async for place, documents in readings:
                for document in documents:
                    caller = self._build_caller(place, document)
                    for one in find_callers_in_text(_get_text(document), caller):
                        yield one

    async def read(self, caller: Caller) -> CallerContent:
        path, _, identity = caller.address.rpartition("/")
        if path.endswith(READ_SCRIPT):
            text = _get_text(await self._api.get(SHAREPOINT, path, {"id": identity}))
        else:
            # The webhook itself could be read only by the application that created it.
            listed = await self._api.list(SHAREPOINT, path, member="value")
            found = next((one for one in listed if text_at(one, "id") == identity), None)
            if found is None:
                raise NotFound(f"The {caller.label} was deleted")
            text = _get_text(found)
        return CallerContent(text=text, etag=hash_texts(caller.address, text))

    async def write(self, caller: Caller, value: CallerContent) -> None:  # noqa: ARG002
        raise build_manual_caller_error(caller, caller.manual_reason)

    async def _list_places(self, unreadable: UnreadableCallers) -> Sequence[_Place]:
        """Return the lists of all sites, and the site scripts.

        All sites of a host have the same scripts, so only one site of each is asked for them.
        """
        places: list[_Place] = []
        hosts, searched_hosts = set[str](), set[str]()
        for site in await self.list_well_formed_scopes(unreadable):
            host = site.partition("/")[0].lower()
            hosts.add(host)
            try:
                with convert_long_outages():
                    places += await self._read_lists(site)
                    if host not in searched_hosts:
                        places += await self._read_scripts(site)
                        searched_hosts.add(host)
            except NotFound:
                unreadable.record_unsearched(f"SharePoint site {site} (not found)")
            except PlatformError as err:
                unreadable.record_place(f"SharePoint site {site}", err)
        for host in sorted(hosts - searched_hosts):
            unreadable.record_unsearched(f"site scripts of {host}")
        return places

    async def _read_lists(self, site: str) -> Sequence[_Place]:
        path, query = f"{site}/{_LISTS}", {"$select": "Id,Title"}
        return [
            _Place(
                site=site,
                path=f"{path}('{quote(text_at(one, 'Id') or '')}')/subscriptions",
                name=f"list {text_at(one, 'Title')} in the SharePoint site {site}",
            )
            for one in await self._api.list(SHAREPOINT, path, query, member="value")
        ]

    async def _read_scripts(self, site: str) -> Sequence[_Place]:
        scripts = await self._api.list(
            SHAREPOINT, f"{site}/{LIST_SCRIPTS}", member="value", arguments={}
        )
        return [
            _Place(
                site=site,
                path=f"{site}/{READ_SCRIPT}",
                name=f"site script {text_at(one, 'Title')} of SharePoint",
                script_id=text_at(one, "Id") or "",
            )
            for one in scripts
        ]

    async def _read_place(self, place: _Place) -> Sequence[Mapping[str, object]]:
        if place.script_id:
            return [await self._api.get(SHAREPOINT, place.path, {"id": place.script_id})]
        return await self._api.list(SHAREPOINT, place.path, member="value")

    def _build_caller(self, place: _Place, document: Mapping[str, object]) -> Caller:
        identity = place.script_id or text_at(document, "id") or ""
        if place.script_id:
            label, reason = place.name, _CHANGE_SCRIPT.format(id=identity)
        else:
            label = f"webhook {identity} of the {place.name}"
            ends = (text_at(document, "expirationDateTime") or "").partition("T")[0]
            reason = f"{_CHANGE_WEBHOOK} This one ends on {ends}." if ends else _CHANGE_WEBHOOK
        return self.build_place(f"{place.path}/{identity}", label, reason)


def _get_text(document: Mapping[str, object]) -> str:
    return text_at(document, "notificationUrl") or text_at(document, "Content") or ""
