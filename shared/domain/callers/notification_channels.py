"""Find the app's notification settings whose webhook address is a flow's trigger URL."""

from collections.abc import Iterable, Iterator, Mapping

from shared.domain.trigger_urls.trigger_url import find_trigger_urls

OWN_CHANNEL = "own_channel"
CHANGED_BY_HAND = (
    "Write the copy's URL into that setting of this app and deploy it. Until then the original "
    "is not retired, because notifications would be lost."
)


def list_channel_url_ids(addresses: Iterable[str]) -> set[str]:
    """Return the ids of the trigger URLs among these addresses."""
    return {one.url.trigger_url_id for address in addresses for one in find_trigger_urls(address)}


def find_channels_using(addresses: Mapping[str, str], url_id: str) -> Iterator[tuple[str, str]]:
    """Yield the key and label of each setting that contains the trigger URL with this id.

    `addresses` maps setting names to URLs with signatures.
    """
    for name, address in addresses.items():
        if url_id in list_channel_url_ids([address]):
            yield f"{OWN_CHANNEL}/{name}", f"setting {name} of this app"
