"""Read and write Power Pages sites as callers: settings, snippets, templates and pages.

In the enhanced data model, a site's parts are rows of one table, whose text is JSON; the virtual
tables `mspp_…` show the same rows. In the standard model, each kind of part has its own table. See
platform.md#power-pages.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

from shared.callers.dataverse_rows import DataverseRowCallers
from shared.callers.search import find_callers_in_text
from shared.domain.callers.caller import MANAGED, Caller
from shared.domain.definitions.json_values import mapping_at, text_at
from shared.ports import TextColumn, TextRow

#: Values of `powerpagecomponenttype`.
_COMPONENTS = {2: "web page", 7: "content snippet", 8: "web template", 9: "site setting"}
_STANDARD = {
    "adx_sitesettings": "site setting",
    "adx_contentsnippets": "content snippet",
    "adx_webtemplates": "web template",
    "adx_webpages": "web page",
}


class PowerPagesCallers(DataverseRowCallers):
    """The caller kind of Power Pages sites."""

    kind = "power_pages"
    #: A site caches its parts so long.
    old_value_lifetime = timedelta(minutes=15)
    columns = (
        TextColumn(
            entity_set="powerpagecomponents",
            key="powerpagecomponentid",
            name="name",
            text="content",
            condition="contains(content,'workflows')",
            others=("powerpagecomponenttype", "ismanaged"),
            expand="powerpagesiteid($select=name)",
        ),
        *(
            TextColumn(
                entity_set=f"{table}s",
                key=f"{table}id",
                name="adx_name",
                text=text,
                condition=f"contains({text},'workflows')",
                expand="adx_websiteid($select=adx_name)",
            )
            for table, text in (
                ("adx_sitesetting", "adx_value"),
                ("adx_contentsnippet", "adx_value"),
                ("adx_webtemplate", "adx_source"),
                ("adx_webpage", "adx_copy"),
                ("adx_webpage", "adx_customjavascript"),
            )
        ),
    )

    def build_callers(self, place: Caller, row: TextRow) -> Iterator[Caller]:
        component = row.others.get("powerpagecomponenttype")
        part = _STANDARD.get(row.column.entity_set) or _COMPONENTS.get(
            component if isinstance(component, int) else 0, "part"
        )
        place = replace(
            place,
            label=f"{part} {row.name} of the Power Pages site {_get_site_name(row)}",
            manual_reason=MANAGED if row.others.get("ismanaged") else "",
        )
        yield from find_callers_in_text(row.text, place)


def _get_site_name(row: TextRow) -> str:
    site = mapping_at(row.others, row.column.expand.partition("(")[0])
    return text_at(site, "name") or text_at(site, "adx_name") or "without a name"
