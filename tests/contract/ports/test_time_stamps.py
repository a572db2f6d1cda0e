from datetime import timedelta

import pytest

from local_cloud.tenant.time_stamps.endpoints import HOST
from shared.time_stamps import verify_time_stamp
from tests.contract.ports.sides import Side


async def test_time_stamp_has_the_time_of_the_authority(side: Side) -> None:
    before = side.hands.read_time() - timedelta(seconds=1)
    answer = await side.ports.time_stamps.stamp(f"https://{HOST}/", b"a signature")

    stamp = verify_time_stamp(answer, b"a signature")

    assert before <= stamp.at <= side.hands.read_time()
    assert stamp.signer.startswith("CN=Contoso time stamps root")
    with pytest.raises(ValueError, match="other content"):
        verify_time_stamp(answer, b"another")
