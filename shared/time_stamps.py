"""Read and verify time stamps (RFC 3161).

Imported only when needed, because the library cryptography loads slowly.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography.x509 import Certificate, load_pem_x509_certificates
from rfc3161_client import (
    HashAlgorithm,
    PKIStatus,
    TimeStampRequest,
    TimestampRequestBuilder,
    TimeStampResponse,
    VerificationError,
    VerifierBuilder,
    decode_timestamp_response,
)

#: OpenSSL's own words in the library's text of its errors.
_CHAIN_REASON = re.compile(r'(?:data: "Verify error: |reason: ")([^"]+)"(?!.*data: "Verify)')


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeStamp:
    """A time stamp of a content, with the time and the authority that it names."""

    at: datetime
    #: Issuer and serial number of the authority's certificate.
    signer: str


def build_time_stamp_query(content: bytes) -> TimeStampRequest:
    """Return a request for a time stamp of the SHA-256 of content, with a nonce."""
    builder = TimestampRequestBuilder().data(content).hash_algorithm(HashAlgorithm.SHA256)
    return builder.build()


def require_granted_time_stamp(answer: bytes, query: TimeStampRequest) -> None:
    """Raise `ValueError` unless the answer grants the time stamp that `query` requests.

    The signature is not verified: that needs certificates that the reader trusts.
    """
    response = _parse_granted_response(answer)
    if response.tst_info.nonce != query.nonce:
        raise ValueError("the nonce of the answer is not that of the request")
    asked, stamped = query.message_imprint, response.tst_info.message_imprint
    if (stamped.hash_algorithm, stamped.message) != (asked.hash_algorithm, asked.message):
        raise ValueError("the answer is a time stamp of other content")
    if not response.signed_data.certificates:
        raise ValueError("the answer does not contain the certificate of the authority")


def verify_time_stamp(
    answer: bytes, content: bytes, trusted: Sequence[Certificate] = ()
) -> TimeStamp:
    """Return the time stamp of content in an authority's answer. Raises `ValueError` if it is not
    valid for this content.

    `trusted` are root certificates, and intermediate ones that are not in the answer. They verify
    the signature. Without them, the time stamp may come from anyone.
    """
    response = _parse_granted_response(answer)
    info = response.tst_info
    if not trusted:
        # As the library compares it after its signature; the digest of the content is all.
        if info.message_imprint.message != build_time_stamp_query(content).message_imprint.message:
            raise ValueError("it is a time stamp of other content")
        return _build_time_stamp(response)
    try:
        VerifierBuilder(roots=list(trusted)).build().verify_message(response, content)
    except VerificationError as err:
        reason = _CHAIN_REASON.search(str(err))
        raise ValueError(reason[1] if reason else str(err)) from None
    return _build_time_stamp(response)


def load_certificates(pem: bytes) -> list[Certificate]:
    """Return the certificates of a PEM file. Raises `ValueError` if there is none."""
    return load_pem_x509_certificates(pem)


def _build_time_stamp(response: TimeStampResponse) -> TimeStamp:
    signer = next(iter(response.signed_data.signer_infos))
    text = f"{signer.issuer.rfc4514_string()}, certificate {signer.serial_number:x}"
    return TimeStamp(at=response.tst_info.gen_time.astimezone(UTC), signer=text)


def _parse_granted_response(answer: bytes) -> TimeStampResponse:
    try:
        response = decode_timestamp_response(answer)
        if response.status == PKIStatus.GRANTED:
            response.tst_info, response.signed_data  # noqa: B018  # parsed when they are read
    except ValueError as err:
        raise ValueError(f"the answer is malformed: {err}") from None
    if response.status != PKIStatus.GRANTED:
        why = " ".join(response.status_string) or f"status {response.status}"
        raise ValueError(f"the request was rejected: {why}")
    return response
