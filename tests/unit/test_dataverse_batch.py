import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.dataverse.batch import parse_batch_response

BOUNDARY = "batchresponse_5d7832c5"
TYPE = f"multipart/mixed; boundary={BOUNDARY}"
BODIES = st.lists(st.binary().filter(lambda body: b"\r\n--batch" not in body), max_size=4)


def format_batch_answer(*bodies: bytes, encoding: str = "binary") -> bytes:
    parts = (
        f"--{BOUNDARY}\r\nContent-Type: application/http\r\n"
        f"Content-Transfer-Encoding: {encoding}\r\n\r\nHTTP/1.1 200 OK\r\n"
        'Content-Type: application/json; odata.metadata=minimal\r\nETag: W/"7"\r\n\r\n'.encode()
        + body
        + b"\r\n"
        for body in bodies
    )
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


@given(BODIES)
def test_each_part_is_returned_byte_for_byte(bodies: list[bytes]) -> None:
    parts = parse_batch_response(TYPE, format_batch_answer(*bodies))

    assert [part.body for part in parts] == bodies
    assert all(part.status == 200 and part.headers["etag"] == 'W/"7"' for part in parts)


def test_quoted_boundary_is_parsed() -> None:
    """RFC 2046 allows quotes around the boundary."""
    quoted = f'multipart/mixed;charset="utf-8"; Boundary="{BOUNDARY}"'

    assert [part.body for part in parse_batch_response(quoted, format_batch_answer(b"{}"))] == [
        b"{}"
    ]


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/mixed", format_batch_answer(b"{}")),
        (TYPE, b""),
        (TYPE, b"{}"),
        (TYPE, format_batch_answer(b"{}")[:-8]),
        (TYPE, format_batch_answer(b"{}", b"[]").partition(b"[]")[0]),
        (TYPE, f"--{BOUNDARY}\r\n\r\nno answer\r\n--{BOUNDARY}--".encode()),
        (TYPE, format_batch_answer(b"e30=", encoding="base64")),
    ],
)
def test_incomplete_batch_raises_value_error(content_type: str, body: bytes) -> None:
    """If a part were missing, the others could be taken for responses to the wrong requests."""
    with pytest.raises(ValueError):  # noqa: PT011 -- any: the caller tells it as one
        parse_batch_response(content_type, body)
