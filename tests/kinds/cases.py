"""Load the test data of caller kinds and firewall kinds. Each kind has its own file."""

from collections.abc import Iterator
from importlib import import_module

from shared.kind_discovery import find_kinds
from tests.kinds.case import CallerCase, FirewallCase, WirePlaces

CALLER_KINDS = [kind.kind for kind in find_kinds("shared.callers")]
FIREWALL_KINDS = [kind.kind for kind in find_kinds("shared.firewalls")]


def load_caller_case(kind: str) -> CallerCase:
    case = _load_case("callers", kind)
    assert isinstance(case, CallerCase)
    return case


def load_firewall_case(kind: str) -> FirewallCase:
    case = _load_case("firewalls", kind)
    assert isinstance(case, FirewallCase)
    return case


def _load_case(folder: str, kind: str) -> object:
    try:
        return import_module(f"tests.kinds.{folder}.{kind}").CASE
    except ModuleNotFoundError as err:
        raise LookupError(f"{kind}: write what sets it up into tests/kinds/{folder}/") from err


def find_opt_in_places() -> Iterator[WirePlaces]:
    for kind in CALLER_KINDS:
        places = load_caller_case(kind).wire
        if places and places.settings:
            yield places


#: Kinds whose places the app points at another flow.
MOVED_KINDS = [kind for kind in CALLER_KINDS if not load_caller_case(kind).is_by_hand]
