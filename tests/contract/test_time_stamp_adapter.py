import pytest

from local_cloud.tenant.core.faults import Fault
from local_cloud.tenant.time_stamps.endpoints import HOST
from shared.errors import CmkflowError, PlatformError, ServiceUnavailable
from tests.contract.adapter_world import Adapters

URL = f"https://{HOST}/"
_ROUTE = "time_stamps.issue_time_stamp"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "no address",
        HOST,
        f"ftp://{HOST}/",
        "https://",
        f"https://{HOST}:bad/",
        "https://nobody.contoso.example/",
        f"{URL}root.pem",
    ],
)
async def test_address_without_an_authority_raises_an_error(app: Adapters, address: str) -> None:
    """The address is a setting, so another service may answer there."""
    with pytest.raises(CmkflowError):
        await app.time_stamps.stamp(address, b"a signature")


async def test_answer_that_is_no_time_stamp_raises_an_error(app: Adapters) -> None:
    """A login page or a proxy may answer with status 200."""
    app.world.tenant.faults.add(Fault(route=_ROUTE, status=200, message="Sign in"))

    with pytest.raises(PlatformError, match="Time stamp authority: the answer is malformed"):
        await app.time_stamps.stamp(URL, b"a signature")


async def test_failed_request_is_sent_once_more(app: Adapters) -> None:
    app.world.tenant.faults.add(Fault(route=_ROUTE))
    await app.time_stamps.stamp(URL, b"a signature")
    app.world.tenant.faults.add(Fault(route=_ROUTE, times=2))

    with pytest.raises(ServiceUnavailable):
        await app.time_stamps.stamp(URL, b"a signature")

    assert app.world.tenant.calls.routes[_ROUTE] == 4
