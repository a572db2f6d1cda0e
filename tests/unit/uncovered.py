"""What a firewall leaves out, as the tests ask it: in prefixes."""

from collections.abc import Mapping, Sequence

from shared.domain.network.address_ranges import AddressRanges
from shared.domain.network.admission import ServiceTagRanges, admit
from shared.domain.network.firewall import Firewall


def uncovered(
    firewall: Firewall,
    required: Mapping[str, Sequence[str]],
    tags: Mapping[str, Sequence[str]],
) -> tuple[str, ...]:
    """Return the prefixes that a firewall does not let in for certain.

    `required` are prefixes by the name of their tag, `tags` the prefixes of every known tag.
    """
    asked = {tag: AddressRanges.of(listed) for tag, listed in required.items()}
    admission = admit(firewall, asked, ServiceTagRanges(tags))
    return (admission.denied | admission.doubtful).prefixes()
