"""Test that time stamps (RFC 3161) are verified with the same results as by `openssl ts`."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local_cloud.tenant.time_stamps.token_signer import TokenSigner
from shared.time_stamps import (
    build_time_stamp_query,
    load_certificates,
    require_granted_time_stamp,
    verify_time_stamp,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONTENT = b"a signature"
AUTHORITY = TokenSigner("Contoso time stamps", NOW)
OTHER = TokenSigner("Fabrikam time stamps", NOW)
ANSWER = AUTHORITY.answer(build_time_stamp_query(CONTENT).as_bytes(), NOW)


def test_granted_answer_matches_its_query() -> None:
    query = build_time_stamp_query(CONTENT)
    answer = AUTHORITY.answer(query.as_bytes(), NOW + timedelta(microseconds=5))

    require_granted_time_stamp(answer, query)
    stamp = verify_time_stamp(answer, CONTENT, [AUTHORITY.root])

    assert stamp.at == NOW
    assert stamp.signer.startswith("CN=Contoso time stamps root, certificate ")


def test_answer_to_another_query_is_rejected() -> None:
    """A response with another nonce or another hash may be an old one."""
    query = build_time_stamp_query(CONTENT)
    other = build_time_stamp_query(b"another")
    imprint = other.as_bytes().replace(other.message_imprint.message, query.message_imprint.message)

    with pytest.raises(ValueError, match="nonce of the answer"):
        require_granted_time_stamp(ANSWER, query)
    with pytest.raises(ValueError, match="other content"):
        require_granted_time_stamp(AUTHORITY.answer(imprint, NOW), other)


def test_answer_without_certificate_is_rejected() -> None:
    """Without its certificate, nobody could verify the time stamp later."""
    query = build_time_stamp_query(CONTENT)
    # The last member of the query is `certReq`, TRUE; without it, it is FALSE.
    short = bytearray(query.as_bytes()[:-3])
    short[1] -= 3

    with pytest.raises(ValueError, match="certificate of the authority"):
        require_granted_time_stamp(AUTHORITY.answer(bytes(short), NOW), query)


def test_rejection_has_the_reason_of_the_authority() -> None:
    """The evidence file shows why the authority rejected the query."""
    query = build_time_stamp_query(CONTENT)

    with pytest.raises(ValueError, match="rejected: The query is malformed"):
        require_granted_time_stamp(AUTHORITY.answer(b"no query", NOW), query)


@pytest.mark.parametrize(
    "answer",
    [b"", b"<html>", ANSWER[:-1], ANSWER + b"0"],
    ids=["empty", "a page", "cut off", "too long"],
)
def test_malformed_answer_is_rejected(answer: bytes) -> None:
    """A proxy may respond instead of the authority."""
    with pytest.raises(ValueError, match="malformed"):
        require_granted_time_stamp(answer, build_time_stamp_query(CONTENT))


def test_time_stamp_of_another_authority_or_content_is_not_valid() -> None:
    """Anybody can create a time stamp, so the reader names the root certificates to trust."""
    with pytest.raises(ValueError, match="unable to get local issuer certificate"):
        verify_time_stamp(ANSWER, CONTENT, [OTHER.root])
    for trusted in ([], [AUTHORITY.root]):
        with pytest.raises(ValueError, match=r"other content|Mismatch"):
            verify_time_stamp(ANSWER, b"another", trusted)
    assert verify_time_stamp(ANSWER, CONTENT).at == NOW


def test_time_stamp_outside_the_validity_of_its_certificate_is_rejected() -> None:
    """Whether the certificate has expired since the time of the stamp does not matter."""
    late = NOW + timedelta(days=4000)
    answer = AUTHORITY.answer(build_time_stamp_query(CONTENT).as_bytes(), late)

    with pytest.raises(ValueError, match="expired"):
        verify_time_stamp(answer, CONTENT, [AUTHORITY.root])


@given(position=st.integers(0, len(ANSWER) - 1), bit=st.integers(0, 7))
def test_changed_bit_makes_the_answer_invalid_or_keeps_its_time(position: int, bit: int) -> None:
    changed = bytearray(ANSWER)
    changed[position] ^= 1 << bit
    try:
        stamp = verify_time_stamp(bytes(changed), CONTENT, [AUTHORITY.root])
    except ValueError:
        return
    assert stamp.at == NOW


def test_certificates_are_read_from_pem() -> None:
    """A PEM file may contain several certificates."""
    assert load_certificates(AUTHORITY.pem + OTHER.pem) == [AUTHORITY.root, OTHER.root]
    with pytest.raises(ValueError, match="PEM"):
        load_certificates(b"no certificate")


@pytest.mark.skipif(not shutil.which("openssl"), reason="needs the program openssl")
def test_openssl_accepts_and_rejects_the_same_answers(tmp_path: Path) -> None:
    (tmp_path / "timestamp.tsr").write_bytes(ANSWER)
    (tmp_path / "signature.json").write_bytes(CONTENT)
    (tmp_path / "another.json").write_bytes(b"another")
    (tmp_path / "tsa.pem").write_bytes(AUTHORITY.pem)
    (tmp_path / "other.pem").write_bytes(OTHER.pem)

    def verify(content: str, root: str) -> str:
        done = subprocess.run(
            ["openssl", "ts", "-verify", "-in", "timestamp.tsr", "-data", content, "-CAfile", root],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout

    assert "Verification: OK" in verify("signature.json", "tsa.pem")
    assert "Verification: FAILED" in verify("another.json", "tsa.pem")
    assert "Verification: FAILED" in verify("signature.json", "other.pem")
