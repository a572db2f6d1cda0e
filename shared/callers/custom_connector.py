"""Read custom connectors that call a flow, in Dataverse environments. Only a person changes them.

A connector's definition (OpenAPI 2.0) has host, base path and path of a trigger URL in separate
members, and its query as defaults of parameters. See platform.md#custom-connectors.
"""

from collections.abc import Iterator
from dataclasses import replace

from shared.callers.dataverse_rows import DataverseRowCallers
from shared.callers.search import build_manual_caller_error, find_callers_in_text
from shared.domain.callers.caller import MANAGED, Caller, CallerContent
from shared.domain.definitions.json_values import (
    as_mapping,
    mapping_at,
    parse_json_value,
    text_at,
)
from shared.ports import TextColumn, TextRow

_BY_HAND = (
    "Edit the custom connector: replace host, base URL, path and the defaults of its query "
    "parameters by those of the copy's URL, and update the connector. The app does not write "
    "connectors, because a changed definition can break the connections and the flows that use it."
)


class CustomConnectorCallers(DataverseRowCallers):
    """The caller kind of custom connectors.

    The content is the definition, followed by lines with its URLs.
    """

    kind = "custom_connector"
    columns = (
        TextColumn(
            entity_set="connectors",
            key="connectorid",
            name="name",
            text="openapidefinition",
            condition="contains(openapidefinition,'workflows')",
            others=("displayname", "ismanaged"),
        ),
    )

    def build_callers(self, place: Caller, row: TextRow) -> Iterator[Caller]:
        name = text_at(row.others, "displayname") or row.name
        place = replace(
            place,
            label=f"custom connector {name}",
            manual_reason=MANAGED if row.others.get("ismanaged") else _BY_HAND,
        )
        yield from find_callers_in_text(_format_with_urls(row.text), place)

    async def read(self, caller: Caller) -> CallerContent:
        found = await super().read(caller)
        return replace(found, text=_format_with_urls(found.text))

    async def write(self, caller: Caller, value: CallerContent) -> None:  # noqa: ARG002
        raise build_manual_caller_error(caller, caller.manual_reason)


def _format_with_urls(definition: str) -> str:
    """Return a definition, followed by the URL of each of its paths without the query."""
    try:
        document = as_mapping(parse_json_value(definition))
    except ValueError:
        return definition
    start = (
        f"https://{text_at(document, 'host')}{(text_at(document, 'basePath') or '').rstrip('/')}"
    )
    return "\n".join((definition, *(f"{start}{path}" for path in mapping_at(document, "paths"))))
