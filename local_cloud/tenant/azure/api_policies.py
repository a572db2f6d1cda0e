"""Evaluate the policies `ip-filter` of API Management.

A call must pass all filters of the service and of all its APIs, because a host does not show which
API is called.
"""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

from local_cloud.tenant.azure.addresses import (
    EVERY_ADDRESS,
    Ranges,
    merge_ranges,
    parse_ranges,
    subtract_ranges,
)
from local_cloud.tenant.azure.api_management import SERVICE, escape_expressions
from local_cloud.tenant.azure.state import Azure


def find_filters(azure: Azure, host: str) -> Iterator[tuple[str, Ranges]]:
    """Yield the service's id and the allowed addresses of each filter that applies to a host."""
    for service in azure.resources.list_of_type(SERVICE):
        configured = service["properties"].get("hostnameConfigurations", ())
        if host in (str(one.get("hostName")).lower() for one in configured):
            for kind in (f"{SERVICE}/policies", f"{SERVICE}/apis/policies"):
                for policy in azure.resources.list_of_type(kind):
                    if policy["id"].lower().startswith(f"{service['id']}/".lower()):
                        for let_in in _list_filters(policy["properties"]["value"]):
                            yield service["id"], let_in


def _list_filters(xml: str) -> Iterator[Ranges]:
    policy = ET.fromstring(escape_expressions(xml))  # noqa: S314 – from the seed
    for element in policy.iterfind("inbound//ip-filter"):
        listed = merge_ranges(_parse_range(child) for child in element)
        yield listed if element.get("action") == "allow" else subtract_ranges(EVERY_ADDRESS, listed)


def _parse_range(element: ET.Element) -> tuple[int, int]:
    ends = (element.get("from"), element.get("to")) if element.get("from") else (element.text,) * 2
    first, last = (parse_ranges([end or ""])[0][0] for end in ends)
    return first, last
