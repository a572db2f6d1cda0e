"""Find, parse and mask trigger URLs in any text.

The app never builds a trigger URL: it asks the platform for the URL. Only the 32-hex id in a URL
identifies the flow, because hosts and paths have changed before (platform.md#url-shapes). A whole
URL is a password, so only its host and id are shown.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from urllib.parse import unquote

from shared.domain.clouds import PUBLIC
from shared.domain.trigger_urls.signatures import (
    find_signatures,
    mask_signatures,
)
from shared.domain.trigger_urls.url_layout import UrlLayout, find_layouts

#: Parent domain of the earlier hosts of flows in the public cloud. Those of others still work.
RETIRED_HOST = PUBLIC.logic_apps_domain


class TriggerUrlFormat(StrEnum):
    """The formats of trigger URLs (platform.md#url-shapes).

    They do not depend on the flow's key.
    """

    #: `prod-NN.region.logic.azure.com`, which rejects calls since 2025-11-30
    #: (platform.md#retired-hosts).
    CLASSIC = "classic"
    #: `….environment.api.powerplatform.com`.
    ENVIRONMENT = "environment"
    #: The same with `/cu/NN/` in its path.
    ENVIRONMENT_UNIT = "environment_cu"
    OTHER = "other"


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerUrl:
    """The parts of a trigger URL that are not secret."""

    host: str
    #: 32 hex digits in lower case; neither the flow's name nor its Dataverse id.
    trigger_url_id: str
    trigger: str
    form: TriggerUrlFormat
    #: SHA-256 of `sig` in hex; None if the trigger requires a token, or the caller inserts it.
    signature_hash: str | None

    @property
    def is_retired(self) -> bool:
        """Return whether the URL's host no longer serves flows, since 2025-11-30.

        The URL of an Azure Logic App has the same format and works. See platform.md#retired-hosts.
        """
        return self.host.endswith(f".{RETIRED_HOST}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TriggerUrlMatch:
    """A trigger URL that was found in a text."""

    start: int
    end: int
    url: TriggerUrl
    #: False if an expression, a template or another setting contains the signature or the query.
    #: `replace_trigger_urls` does not change it, and a person has to.
    is_replaceable: bool
    #: The URL as in the text: a secret.
    url_text: str = field(repr=False)


def find_trigger_urls(text: str) -> list[TriggerUrlMatch]:
    """Return every trigger URL in a text, in order.

    Finds plain, JSON- or XML-escaped and percent-encoded URLs, with or without a port, with
    relative paths and parameters of the caller. Ignores run links, content links, portals, and
    other endpoints.
    """
    return [
        TriggerUrlMatch(
            start=layout.start,
            end=layout.end,
            url=_build_trigger_url(text, layout),
            is_replaceable=layout.is_replaceable,
            url_text=text[layout.start : layout.end],
        )
        for layout in find_layouts(text)
    ]


def parse_trigger_url(url: str) -> TriggerUrl | None:
    """Return the parts of a trigger URL, or None if the text is not exactly one trigger URL."""
    matches = find_trigger_urls(url)
    whole = len(matches) == 1 and matches[0].url_text == url
    return matches[0].url if whole else None


def redact(text: str) -> str:
    """Return the text with only the host and id of each trigger URL, for logs and reports.

    Signatures elsewhere in the text are masked.
    """
    pieces: list[str] = []
    position = 0
    for match in find_trigger_urls(text):
        shown = f"https://{match.url.host}/…/workflows/{match.url.trigger_url_id}/…"
        pieces += [text[position : match.start], shown]
        position = match.end
    return mask_signatures("".join([*pieces, text[position:]]))


def _build_trigger_url(text: str, layout: UrlLayout) -> TriggerUrl:
    signature = layout.find_parameter("sig")
    # Both parse the same text, so the hash is the one in the mask.
    hashes = find_signatures(text[signature.start : signature.end]) if signature else {}
    trigger = layout.trigger
    for _ in range(layout.level + 1):
        trigger = unquote(trigger)
    return TriggerUrl(
        host=layout.host,
        trigger_url_id=layout.trigger_url_id,
        trigger=trigger,
        form=_detect_format(layout),
        signature_hash=next(iter(hashes), None),
    )


def _detect_format(layout: UrlLayout) -> TriggerUrlFormat:
    if ".logic.azure." in layout.host:
        return TriggerUrlFormat.CLASSIC
    if ".environment.api." in layout.host:
        has_unit = "/cu/" in f"{layout.prefix}/".lower()
        return TriggerUrlFormat.ENVIRONMENT_UNIT if has_unit else TriggerUrlFormat.ENVIRONMENT
    return TriggerUrlFormat.OTHER
