from copy import deepcopy

import pytest

from shared.callers.dataverse_rows import DataverseRowCallers
from shared.kind_discovery import find_kinds
from tests.contract.adapter_world import Adapters, build_description, run_adapters
from tests.fakes.services import build_kinds
from tests.kinds.cases import CALLER_KINDS, load_caller_case
from tests.local_cloud.tenant.tenant_world import SEED

MANY_PLACES = {
    kind: many for kind in CALLER_KINDS if (many := load_caller_case(kind).requests.many)
}


def list_row_kinds() -> list[str]:
    return [
        kind.kind for kind in find_kinds("shared.callers") if issubclass(kind, DataverseRowCallers)
    ]


async def count_requests(app: Adapters, kind: str) -> int:
    environments = await app.environments.list()
    before = app.http.calls.total()
    async for _ in build_kinds(app)[kind].find(environments):
        pass
    return app.http.calls.total() - before


def test_every_kind_outside_of_environments_declares_many_places() -> None:
    others = {"canvas_app", "declared_caller", "environment_variable", "flow", *list_row_kinds()}

    assert set(CALLER_KINDS) - set(MANY_PLACES) == others


@pytest.mark.parametrize("kind", MANY_PLACES)
async def test_caller_search_needs_one_request_per_list_and_value_set(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed = deepcopy(build_description())
    MANY_PLACES[kind].add(seed)
    async with run_adapters(monkeypatch, seed) as app:
        assert await count_requests(app, kind) == MANY_PLACES[kind].requests


async def test_search_of_each_kind_needs_its_declared_requests(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Limits of other tests are computed from the declared numbers."""
    async with run_adapters(monkeypatch) as app:
        standard = {kind: await count_requests(app, kind) for kind in CALLER_KINDS}
    async with run_adapters(monkeypatch, deepcopy(SEED)) as app:
        without = {kind: await count_requests(app, kind) for kind in CALLER_KINDS}

    declared = {kind: load_caller_case(kind).requests for kind in CALLER_KINDS}
    assert standard == {kind: one.standard for kind, one in declared.items()}
    assert without == {kind: one.without_places for kind, one in declared.items()}


@pytest.mark.parametrize("kind", list_row_kinds())
async def test_search_of_rows_needs_one_request_per_environment(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with run_adapters(monkeypatch) as app:
        environments = await app.environments.list()
        calls = await count_requests(app, kind)

    assert calls == sum(1 for one in environments if one.dataverse_url)
