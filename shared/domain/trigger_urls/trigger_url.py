"""Trigger URLs: found in any text, told apart, replaced, and kept out of logs.

A URL is never built here. The platform is asked for it, and the 32-hex workflow id in it says
whose it is: hosts and paths have changed before and will again (platform.md#url-shapes). A whole
URL is a password; what is shown of one is its host and its workflow id.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote

from shared.domain.trigger_urls.replacement import replace_in_json, replace_trigger_urls
from shared.domain.trigger_urls.signatures import (
    SignatureChanged,
    hash_signature,
    mask_signatures,
    signatures_in,
    unmask_signatures,
)
from shared.domain.trigger_urls.url_layout import UrlLayout, find_layouts

__all__ = [
    "RETIRED_HOST",
    "SignatureChanged",
    "TriggerUrl",
    "TriggerUrlFormat",
    "TriggerUrlMatch",
    "find_trigger_urls",
    "hash_signature",
    "mask_signatures",
    "parse_trigger_url",
    "redact",
    "replace_in_json",
    "replace_trigger_urls",
    "signatures_in",
    "unmask_signatures",
]


#: Below it lay the URLs of flows; sovereign clouds have others.
RETIRED_HOST = "logic.azure.com"


class TriggerUrlFormat(StrEnum):
    """The shapes of platform.md#url-shapes; the form says nothing about the key a flow is under."""

    #: `prod-NN.region.logic.azure.com`: refused since 2025-11-30 (platform.md#retired-hosts)
    CLASSIC = "classic"
    #: `….environment.api.powerplatform.com`
    ENVIRONMENT = "environment"
    #: the same with `/cu/NN/` in its path
    ENVIRONMENT_UNIT = "environment_cu"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerUrl:
    """What may be known of a trigger URL by everybody."""

    host: str
    #: 32 hex digits in lower case: neither the flow's name nor its Dataverse id
    workflow_id: str
    trigger: str
    form: TriggerUrlFormat
    #: SHA-256 of `sig` in hex; None where the trigger wants a token, or the caller fills it in
    signature_hash: str | None

    @property
    def is_retired(self) -> bool:
        """Say whether it lies where flows have not answered since 2025-11-30.

        The URL of an Azure Logic App looks the same, and works.

        See platform.md#retired-hosts.
        """
        return self.host.endswith(f".{RETIRED_HOST}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerUrlMatch:
    """A trigger URL in a text."""

    start: int
    end: int
    url: TriggerUrl
    #: False where an expression, a template or another setting holds the signature or the query:
    #: `replace_trigger_urls` leaves it alone, and a person has to change it
    is_replaceable: bool
    #: as it stands in the text: a secret
    url_text: str = field(repr=False)


def find_trigger_urls(text: str) -> list[TriggerUrlMatch]:
    """Return every trigger URL of a text, in order.

    Finds them plain, JSON- or XML-escaped and percent-encoded, with a port or not, with relative
    paths and parameters of the caller; not run or content links, portals, or other endpoints.
    """
    return [
        TriggerUrlMatch(
            start=layout.start,
            end=layout.end,
            url=_trigger_url(text, layout),
            is_replaceable=layout.is_replaceable,
            url_text=text[layout.start : layout.end],
        )
        for layout in find_layouts(text)
    ]


def parse_trigger_url(url: str) -> TriggerUrl | None:
    """Return what a URL is, None unless the whole text is one trigger URL."""
    matches = find_trigger_urls(url)
    whole = len(matches) == 1 and matches[0].url_text == url
    return matches[0].url if whole else None


def redact(text: str) -> str:
    """Return text for logs and reports: of trigger URLs the host and the workflow id only.

    Signatures that stand elsewhere are masked.
    """
    pieces: list[str] = []
    position = 0
    for match in find_trigger_urls(text):
        shown = f"https://{match.url.host}/…/workflows/{match.url.workflow_id}/…"
        pieces += [text[position : match.start], shown]
        position = match.end
    return mask_signatures("".join([*pieces, text[position:]]))


def _trigger_url(text: str, layout: UrlLayout) -> TriggerUrl:
    signature = layout.parameter("sig")
    # The mask and the match agree on the hash because the mask finds both.
    hashes = signatures_in(text[signature.start : signature.end]) if signature else {}
    trigger = layout.trigger
    for _ in range(layout.level + 1):
        trigger = unquote(trigger)
    return TriggerUrl(
        host=layout.host,
        workflow_id=layout.workflow_id,
        trigger=trigger,
        form=_form(layout),
        signature_hash=next(iter(hashes), None),
    )


def _form(layout: UrlLayout) -> TriggerUrlFormat:
    if ".logic.azure." in layout.host:
        return TriggerUrlFormat.CLASSIC
    if ".environment.api." in layout.host:
        has_unit = "/cu/" in f"{layout.prefix}/".lower()
        return TriggerUrlFormat.ENVIRONMENT_UNIT if has_unit else TriggerUrlFormat.ENVIRONMENT
    return TriggerUrlFormat.OTHER
