import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from asn1crypto import tsp

from local_cloud.tenant.time_stamps.endpoints import HOST
from local_cloud.tenant.time_stamps.token_signer import POLICY, TimeStampAnswer
from tests.local_cloud.tenant.tenant_world import TenantWorld, serve_tenant_world

URL = f"https://{HOST}/"
QUERY = "application/timestamp-query"


@pytest.fixture
async def world() -> AsyncIterator[TenantWorld]:
    async with serve_tenant_world() as made:
        yield made


def build_query(algorithm: str = "sha256", digest: bytes | None = None, **members: Any) -> bytes:
    imprint = {
        "hash_algorithm": {"algorithm": algorithm},
        "hashed_message": hashlib.new(algorithm, b"x").digest() if digest is None else digest,
    }
    made: bytes = tsp.TimeStampReq(
        {"version": "v1", "message_imprint": imprint, "cert_req": True, **members}
    ).dump()
    return made


async def send_query(world: TenantWorld, body: bytes, media_type: str = QUERY) -> tuple[int, bytes]:
    headers = {"Content-Type": media_type}
    async with world.session.post(
        URL, data=body, headers=headers, proxy=world.server.proxy_url
    ) as answer:
        return answer.status, await answer.read()


def parse_result(answer: bytes) -> tuple[str, set[str] | None]:
    status = TimeStampAnswer.load(answer)["status"]
    return status["status"].native, status["fail_info"].native


async def test_query_is_granted_with_the_time_of_the_tenant(world: TenantWorld) -> None:
    world.tenant.clock.advance(timedelta(days=40).total_seconds())

    status, answer = await send_query(world, build_query(nonce=7, req_policy=POLICY))

    token = TimeStampAnswer.load(answer)["time_stamp_token"]["content"]
    info = token["encap_content_info"]["content"].parsed
    assert (status, parse_result(answer)[0]) == (200, "granted")
    assert info["nonce"].native == 7
    assert info["message_imprint"]["hashed_message"].native == hashlib.sha256(b"x").digest()
    assert timedelta(0) <= world.tenant.clock.now() - info["gen_time"].native < timedelta(hours=1)
    assert len(token["certificates"]) == 1


async def test_token_has_no_certificate_unless_it_is_requested(world: TenantWorld) -> None:
    """RFC 3161 forbids a certificate in a token whose query does not ask for it."""
    _, answer = await send_query(world, build_query(cert_req=False))

    token = TimeStampAnswer.load(answer)["time_stamp_token"]["content"]
    assert token["certificates"].native is None


@pytest.mark.parametrize(
    ("body", "failure"),
    [
        (b"", "bad_data_format"),
        (b"no query", "bad_data_format"),
        (build_query() + b"more", "bad_data_format"),
        (build_query(digest=b"short"), "bad_data_format"),
        (build_query("sha1"), "bad_alg"),
        (build_query("md5"), "bad_alg"),
        (build_query(req_policy="1.2.3.4.9"), "unaccepted_policy"),
        (
            build_query(extensions=[{"extn_id": "2.5.29.15", "extn_value": b"\x03\x02\x07\x80"}]),
            "unaccepted_extensions",
        ),
    ],
)
async def test_query_that_cannot_be_granted_is_rejected(
    world: TenantWorld, body: bytes, failure: str
) -> None:
    status, answer = await send_query(world, body)

    assert (status, *parse_result(answer)) == (200, "rejection", {failure})


async def test_invalid_query_gets_an_http_error(world: TenantWorld) -> None:
    other_type, _ = await send_query(world, build_query(), "application/octet-stream")
    long, _ = await send_query(world, build_query() + bytes(17_000))
    async with world.session.get(URL, proxy=world.server.proxy_url) as answer:
        method = answer.status

    assert (other_type, long, method) == (415, 413, 405)
