"""Every kind of the app with its test data, in one file for each kind.

The tests that hold every kind to the same rules run over this. A kind without its file fails them.
"""

from collections.abc import Iterator
from importlib import import_module

from shared.kind_discovery import find_kinds
from tests.kinds.case import CallerCase, FirewallCase, WirePlaces

CALLER_KINDS = [kind.kind for kind in find_kinds("shared.callers")]
FIREWALL_KINDS = [kind.kind for kind in find_kinds("shared.firewalls")]


def load_caller_case(kind: str) -> CallerCase:
    """Return the case of a caller kind."""
    case = _load_case("callers", kind)
    assert isinstance(case, CallerCase)
    return case


def load_firewall_case(kind: str) -> FirewallCase:
    """Return the case of a firewall kind."""
    case = _load_case("firewalls", kind)
    assert isinstance(case, FirewallCase)
    return case


def _load_case(folder: str, kind: str) -> object:
    try:
        return import_module(f"tests.kinds.{folder}.{kind}").CASE
    except ModuleNotFoundError as err:
        raise LookupError(f"{kind}: write what sets it up into tests/kinds/{folder}/") from err


def find_opt_in_places() -> Iterator[WirePlaces]:
    """Yield the places of each kind that the app searches only if settings name them."""
    for kind in CALLER_KINDS:
        places = load_caller_case(kind).wire
        if places and places.settings:
            yield places


#: Kinds whose places the app points at another flow.
MOVED_KINDS = [kind for kind in CALLER_KINDS if not load_caller_case(kind).is_by_hand]
