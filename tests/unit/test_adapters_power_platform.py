from datetime import timedelta

from shared.adapters.http.client import HttpClient, HttpService
from shared.adapters.power_platform import PowerPlatformAdmin
from shared.domain.clouds import PUBLIC
from tests.fakes.clock import ManualClock
from tests.unit.adapter_wire import NumberedCredential, Scripted, ScriptedTransport

MINUTE = timedelta(minutes=1)


def build_environment_answer(sku: str) -> Scripted:
    return Scripted(body={"name": "e", "properties": {"environmentSku": sku}})


async def test_environment_is_read_once_a_minute_for_cached_reads() -> None:
    """`get_cached` uses a read for a minute. `get` always sends a request."""
    clock = ManualClock()
    answers = [build_environment_answer(sku) for sku in ("first", "other", "second", "third")]
    service = HttpService(name="x", scope=PUBLIC.power_apps_scope, credential=NumberedCredential())
    admin = PowerPlatformAdmin(HttpClient(ScriptedTransport(*answers)), service, clock, PUBLIC)

    seen = [(await admin.get_cached("e")).sku]
    clock.advance(MINUTE - timedelta(seconds=1))
    seen += [(await admin.get_cached("e")).sku, (await admin.get_cached("another")).sku]
    clock.advance(timedelta(seconds=1))
    seen += [(await admin.get_cached("e")).sku, (await admin.get("e")).sku]
    seen.append((await admin.get_cached("e")).sku)

    assert seen == ["first", "first", "other", "second", "third", "third"]
