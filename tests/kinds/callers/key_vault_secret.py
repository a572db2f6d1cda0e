"""Test data of the caller kind *Key Vault secret*."""

from tests.fakes.builder import Builder
from tests.kinds.case import (
    CallerCase,
    Json,
    ManyPlaces,
    SearchRequests,
    add_no_caller,
    build_resource,
)

VAULTS, SECRETS = 5, 3


def _add_many_places(seed: Json) -> None:
    secrets = [{"name": f"secret{number}", "value": "x"} for number in range(SECRETS)]
    vaults = [
        build_resource("Microsoft.KeyVault/vaults", f"kv-{n}", properties={}) for n in range(VAULTS)
    ]
    seed["azure"]["vaults"] += [{"id": one["id"], "secrets": secrets} for one in vaults]


CASE = CallerCase(
    add=Builder.add_secret_caller,
    remove=lambda build: build.world.secrets.clear(),
    add_on_the_wire=add_no_caller,
    is_by_hand=False,
    # The vault of the seed has a secret.
    requests=SearchRequests(
        standard=3,
        without_places=2,
        many=ManyPlaces(add=_add_many_places, requests=1 + VAULTS + 1 + VAULTS * SECRETS + 1),
    ),
)
