"""Format the results of `cmkflow inspect` as a table."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.text import Text

from cmkflow.flow_report import Inspection
from cmkflow.listing import Column, Kind, Listing
from cmkflow.paragraphs import format_number
from shared.domain.definitions.flow_definition import DefinitionFormat

#: What happens to a flow when the key is applied, first those that stay.
_RANKS = {True: 0, None: 1, False: 2}
_WORDS = {True: ("Stays", "bold red"), None: ("Depends", "yellow"), False: ("Moves", "green")}
#: Words of the totals by rank, for one flow and for several.
_TOTALS = (
    (0, ("stays on Microsoft's key", "stay on Microsoft's key")),
    (1, ("depends", "depend")),
    (2, ("moves", "move")),
    (3, ("has no key", "have no key")),
)
#: Most hosts that a note names.
_NAMED = 3


def build_flow_table(inspections: Sequence[Inspection], *, is_full: bool = False) -> Listing:
    return Listing(
        columns=_COLUMNS,
        items=sorted(inspections, key=_compute_sort_key),
        note=_format_note,
        is_full=is_full,
    )


def format_summary(inspections: Sequence[Inspection], *, skipped: int = 0) -> str:
    """Return the number of flows by result, and the number of skipped files, as text."""
    count = Counter(_compute_sort_key(one)[0] for one in inspections)
    parts = [f"{count[rank]} {words[count[rank] != 1]}" for rank, words in _TOTALS if count[rank]]
    text = f"{format_number(len(inspections), 'flow')}: {', '.join(parts)}."
    return text + (f" {format_number(skipped, 'file')} of other types skipped." if skipped else "")


def _format_name(one: Inspection) -> str:
    return one.file.name or one.file.workflow_id or one.file.path


def _compute_sort_key(one: Inspection) -> tuple[int, str]:
    return 3 if _is_logic_app(one) else _RANKS[one.assessment.stays_on_microsoft_key], _format_name(
        one
    )


def _is_logic_app(one: Inspection) -> bool:
    return one.definition.format is DefinitionFormat.LOGIC_APP


def _format_encryption_key(one: Inspection) -> Text:
    if _is_logic_app(one):
        return Text("No key")
    return Text(*_WORDS[one.assessment.stays_on_microsoft_key])


def _format_triggers(one: Inspection) -> str:
    return ", ".join(trigger.category.value for trigger in one.definition.triggers)


def _format_note(one: Inspection) -> str:
    return " · ".join(_format_remarks(one))


def _format_remarks(one: Inspection) -> Iterator[str]:
    if one.assessment.stays_on_microsoft_key is not False or _is_logic_app(one):
        yield one.assessment.message.rstrip(".")
    if one.definition.children:
        yield f"runs {format_number(len(one.definition.children), 'flow')}"
    hosts = sorted({one.host or "(expression)" for one in one.definition.http_actions})
    if hosts:
        more = f" and {len(hosts) - _NAMED} more" if len(hosts) > _NAMED else ""
        yield f"calls {', '.join(hosts[:_NAMED])}{more}"
    if one.trigger_urls:
        named = ", ".join(f"{url.host} {url.trigger_url_id}" for url in one.trigger_urls)
        yield f"holds trigger URLs: {named}"


_COLUMNS = (
    Column("Flow", _format_name),
    Column("Trigger", _format_triggers, Kind.WORD),
    Column("Key", _format_encryption_key, Kind.WORD),
)
