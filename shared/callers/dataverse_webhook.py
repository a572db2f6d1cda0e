"""Read and write webhooks of Dataverse as callers (`serviceendpoints`).

Dataverse never returns a webhook's authentication value, which may contain the rest of a trigger
URL. So only a person changes a webhook with such a value and a URL without a signature. See
platform.md#dataverse-webhooks.
"""

from collections.abc import Iterator
from dataclasses import replace

from shared.callers.dataverse_rows import DataverseRowCallers
from shared.callers.search import compute_max_url_length, find_callers_in_text
from shared.domain.callers.caller import MANAGED, Caller
from shared.domain.trigger_urls.trigger_url import find_trigger_urls
from shared.ports import TextColumn, TextRow

_LONGEST_URL = 2000
_SPLIT = (
    "Dataverse does not return its authentication value, which may hold the signature. Open it in "
    "the Plug-in Registration tool, set the endpoint URL to the copy's URL up to the question "
    "mark, and set the query string to the parameters after it."
)


class DataverseWebhookCallers(DataverseRowCallers):
    """The caller kind of Dataverse webhooks. The content is the URL."""

    kind = "dataverse_webhook"
    columns = (
        TextColumn(
            entity_set="serviceendpoints",
            key="serviceendpointid",
            name="name",
            text="url",
            condition="contains(url,'workflows')",
            others=("isauthvalueset", "ismanaged"),
            has_row_versions=False,
        ),
    )

    def build_callers(self, place: Caller, row: TextRow) -> Iterator[Caller]:
        place = replace(
            place,
            label=f"Dataverse webhook {row.name}",
            manual_reason=_find_manual_reason(row),
            max_url_length=compute_max_url_length(row.text, _LONGEST_URL),
        )
        yield from find_callers_in_text(row.text, place)


def _find_manual_reason(row: TextRow) -> str:
    if row.others.get("ismanaged"):
        return MANAGED
    is_signed = all(one.url.signature_hash for one in find_trigger_urls(row.text))
    return _SPLIT if row.others.get("isauthvalueset") and not is_signed else ""
