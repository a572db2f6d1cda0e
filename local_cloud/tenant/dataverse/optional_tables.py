"""Define tables of Power Pages, Copilot Studio and custom connectors, which some environments lack.

See platform.md#power-pages, #agents.
"""

from typing import Any

from local_cloud.tenant.dataverse.simulated_table import SimulatedTable

#: Characters of a long text.
_MEMO = 1_048_576


def _build_table(
    name: str, texts: tuple[str, ...], lookup: tuple[str, str] | None = None, **columns: Any
) -> SimulatedTable:
    """Return a table with a name column, text columns, and at most one lookup."""
    name_column = "adx_name" if name.startswith("adx_") else "name"
    looked_up = {f"_{lookup[0]}_value": None} if lookup else {}
    return SimulatedTable(
        entity_set=f"{name}s",
        logical_name=name,
        key=f"{name}id",
        columns={name_column: None, **dict.fromkeys(texts), **looked_up, **columns},
        required=(name_column,),
        max_lengths=dict.fromkeys(texts, _MEMO),
        lookups=dict([lookup]) if lookup else {},
        is_optional=True,
    )


_SITE = ("powerpagesiteid", "powerpagesites")
_WEBSITE = ("adx_websiteid", "adx_websites")
OPTIONAL_TABLES = (
    _build_table("powerpagesite", ()),
    _build_table(
        "powerpagecomponent", ("content",), _SITE, powerpagecomponenttype=9, ismanaged=False
    ),
    _build_table("adx_website", ()),
    _build_table("adx_sitesetting", ("adx_value",), _WEBSITE),
    _build_table("adx_contentsnippet", ("adx_value",), _WEBSITE),
    _build_table("adx_webtemplate", ("adx_source",), _WEBSITE),
    _build_table("adx_webpage", ("adx_copy", "adx_customjavascript"), _WEBSITE),
    _build_table("connector", ("openapidefinition",), displayname=None, ismanaged=False),
    _build_table("bot", (), publishedon=None),
    _build_table("botcomponent", ("data", "content"), ("parentbotid", "bots"), componenttype=9),
)
