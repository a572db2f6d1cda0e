"""The app's own settings as callers: a channel's webhook may be a flow that gets a new address."""

from collections.abc import Iterable, Iterator, Mapping

from shared.domain.trigger_urls.trigger_url import find_trigger_urls

OWN_CHANNEL = "own_channel"
CHANGED_BY_HAND = (
    "Give this app the copy's address in that setting, and deploy it: the original is not retired "
    "before, since people would not be told any more."
)


def channel_url_ids(addresses: Iterable[str]) -> set[str]:
    """Return the ids in those of the addresses that are trigger URLs."""
    return {one.url.workflow_id for address in addresses for one in find_trigger_urls(address)}


def channels_using(addresses: Mapping[str, str], url_id: str) -> Iterator[tuple[str, str]]:
    """Yield key and label of each setting whose address is the trigger URL with this id.

    `addresses`, by the setting's name, hold signatures: only ids are compared.
    """
    for name, address in addresses.items():
        if url_id in channel_url_ids([address]):
            yield f"{OWN_CHANNEL}/{name}", f"setting {name} of this app"
