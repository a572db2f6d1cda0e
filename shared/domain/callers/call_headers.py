"""Reduce the headers of a call to what identifies its caller.

The result contains only parsed ids, names, products and networks, so that no token, cookie or
signature can get into a row. No header is verified: anyone who has the URL can send any header. See
platform.md#trigger-outputs.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

_GUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
_ID = re.compile(_GUID, re.IGNORECASE)
#: A product, its version up to the minor number, and the end of the token.
_PRODUCT = re.compile(
    r"([A-Za-z][A-Za-z._-]{0,39}\d{0,2})(?:/v?(\d{1,4}(?:\.\d{1,4})?)[\w.+-]{0,20})?(?=[\s,;()]|$)"
)
_WORKFLOW_IN_AGENT = re.compile(r"azure-logic-apps/[^(]*\(workflow ([0-9a-f]{32});", re.IGNORECASE)
_URL_ID = re.compile(r"[0-9a-f]{32}", re.IGNORECASE)
_RUN_ID = re.compile(r"\d{20,40}CU\d{1,4}")
#: Resource group of a flow: tenant and environment.
_FLOW_GROUP = re.compile(r"[0-9a-f]{32}-[0-9a-f]{32}", re.IGNORECASE)
_LOGIC_APP_NAME = re.compile(r"[A-Za-z0-9_.()-]{1,80}")
_RESOURCE_GROUP = re.compile(r"[\w.()-]{1,90}")
_SUBSCRIPTION_NAME = re.compile(r"[A-Za-z0-9-]{3,64}")
_PORT = re.compile(r":\d{1,5}")


class CallerSource(StrEnum):
    """What kind of system made a call, according to its headers."""

    FLOW = "flow"
    LOGIC_APP = "logic_app"
    #: A flow or a Logic App; its headers do not show which.
    WORKFLOW = "workflow"
    EVENT_GRID = "event_grid"
    AZURE_DEVOPS = "azure_devops"
    OTHER = "other"
    #: The platform does not show the headers of the call.
    NOT_SHOWN = "not_shown"
    #: The app did not read the headers, because there were too many calls since the last check.
    NOT_READ = "not_read"
    #: Calls of callers beyond the largest number of callers that a row lists.
    NOT_LISTED = "not_listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTraits:
    """What the headers of a call show about its caller. Calls with equal traits form one group."""

    source: CallerSource
    #: Of a flow its name in the flow service, of a Logic App its lower-case resource id, of Event
    #: Grid the name of the event subscription, of Azure DevOps the id of the service hook. Empty:
    #: not shown.
    source_id: str = ""
    #: 32 hex digits of a calling flow or Logic App; empty: not shown.
    workflow_url_id: str = ""
    #: Product and version, such as `curl/8.5`; empty: not shown, or another source is known.
    user_agent: str = ""
    #: The first forwarded address as a /24 or /48, such as `203.0.113.0/24`; empty as above.
    network: str = ""


NOT_SHOWN = CallTraits(source=CallerSource.NOT_SHOWN)
NOT_READ = CallTraits(source=CallerSource.NOT_READ)
NOT_LISTED = CallTraits(source=CallerSource.NOT_LISTED)


def parse_call_traits(headers: Mapping[str, object]) -> CallTraits:
    """Return what the headers of a call show about its caller. Ignores the case of header names."""
    named = {name.lower(): value for name, value in headers.items() if isinstance(value, str)}
    if workflow := _parse_calling_workflow(named):
        return workflow
    if "aeg-event-type" in named or "aeg-subscription-name" in named:
        name = _get_text_if_matching(_SUBSCRIPTION_NAME, named.get("aeg-subscription-name", ""))
        return CallTraits(source=CallerSource.EVENT_GRID, source_id=name.lower())
    if hook := _get_text_if_matching(_ID, named.get("x-vss-subscriptionid", "")):
        return CallTraits(source=CallerSource.AZURE_DEVOPS, source_id=hook.lower())
    return CallTraits(
        source=CallerSource.OTHER,
        user_agent=_parse_product(named.get("user-agent", "")),
        network=_parse_network(named.get("x-forwarded-for", "")),
    )


def _parse_calling_workflow(named: Mapping[str, str]) -> CallTraits | None:
    in_agent = _WORKFLOW_IN_AGENT.match(named.get("user-agent", ""))
    found = (
        _get_text_if_matching(_URL_ID, named.get("x-ms-workflow-id", ""))
        or (in_agent and in_agent[1])
        or ""
    )
    if not found and not _get_text_if_matching(_RUN_ID, named.get("x-ms-client-tracking-id", "")):
        return None
    name = named.get("x-ms-workflow-name", "")
    group = named.get("x-ms-workflow-resourcegroup-name", "")
    subscription = _get_text_if_matching(_ID, named.get("x-ms-workflow-subscription-id", ""))
    source, source_id = CallerSource.WORKFLOW, ""
    if found and _FLOW_GROUP.fullmatch(group) and _ID.fullmatch(name):
        source, source_id = CallerSource.FLOW, name
    elif (
        found
        and subscription
        and _RESOURCE_GROUP.fullmatch(group)
        and _LOGIC_APP_NAME.fullmatch(name)
    ):
        source = CallerSource.LOGIC_APP
        source_id = (
            f"/subscriptions/{subscription}/resourceGroups/{group}"
            f"/providers/Microsoft.Logic/workflows/{name}"
        )
    return CallTraits(source=source, source_id=source_id.lower(), workflow_url_id=found.lower())


def _get_text_if_matching(pattern: re.Pattern[str], text: str) -> str:
    return text if pattern.fullmatch(text) else ""


def _parse_product(agent: str) -> str:
    found = _PRODUCT.match(agent)
    if found is None:
        return ""
    return f"{found[1]}/{found[2]}" if found[2] else found[1]


def _parse_network(forwarded: str) -> str:
    text = forwarded.partition(",")[0].strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = _PORT.sub("", text)
    try:
        address: IPv4Address | IPv6Address = ip_address(text)
    except ValueError:
        return ""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped:
            address = address.ipv4_mapped
        elif address.scope_id:
            return ""
    size = 24 if isinstance(address, IPv4Address) else 48
    return str(ip_network((address, size), strict=False))


def has_matching_claims(traits: CallTraits, user_agent: str, networks: Iterable[str]) -> bool:
    """Return whether the headers of a call name this product and one of these networks.

    An empty product, or an empty list of networks, is not compared. Returns False if both are
    empty, or if the source of the call is not `OTHER`. `user_agent` may omit the version. Networks
    match if they overlap.
    """
    expected = [ip_network(one) for one in networks]
    if traits.source is not CallerSource.OTHER or not (user_agent or expected):
        return False
    claimed = traits.user_agent.lower()
    if user_agent and user_agent.lower() not in {claimed, claimed.partition("/")[0]}:
        return False
    if not expected:
        return True
    return bool(traits.network) and any(
        one.version == own.version and own.overlaps(one)
        for own in [ip_network(traits.network)]
        for one in expected
    )
