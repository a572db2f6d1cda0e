"""Describe tables of Dataverse that the tenant simulates.

Some environments lack those of Power Pages, Copilot Studio and custom connectors. See
platform.md#power-pages, #agents.
"""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedTable:
    entity_set: str
    logical_name: str
    key: str
    #: Columns with their defaults; a row has no others.
    columns: dict[str, Any]
    #: Columns that a create must name.
    required: tuple[str, ...] = ()
    #: Columns that are stored but not returned, each with the column that shows whether it is set.
    write_only: dict[str, str] = field(default_factory=dict)
    #: Characters of the longest text of a column.
    max_lengths: dict[str, int] = field(default_factory=dict)
    #: Rows have ETags, and writes may require one (platform.md#row-versions).
    has_row_versions: bool = True
    #: Lookup columns: name → entity set of what they point to.
    lookups: dict[str, str] = field(default_factory=dict)
    is_read_only: bool = False
    #: An environment has the table only if the seed has rows for it.
    is_optional: bool = False
    #: Every member of the environment may add rows, which are then theirs.
    is_user_owned: bool = False


#: Characters of a long text.
_MEMO = 1_048_576


def _build_table(
    name: str, texts: tuple[str, ...], lookup: tuple[str, str] | None = None, **columns: Any
) -> SimulatedTable:
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
