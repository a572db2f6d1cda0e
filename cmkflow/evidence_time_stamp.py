"""Check the time stamp of an evidence file: when the file was signed, and who attests it."""

from collections.abc import Sequence
from io import BufferedReader

from cryptography.x509 import Certificate

from cmkflow.evidence_findings import EvidenceFindings
from shared.domain.evidence_file import read_time_stamp
from shared.time_stamps import verify_time_stamp

_SHOWN = (
    "Verified: the signature existed at the time of the time stamp. Not verified: whether the "
    "authority has revoked its certificate."
)
_UNVERIFIED = (
    "The time stamp was not verified, so it does not show when the file was signed. To verify "
    "it, use --tsa-certificates."
)


def check_time_stamp(file: BufferedReader, trusted: Sequence[Certificate]) -> EvidenceFindings:
    """Check the time stamp with the certificates of `trusted` authorities.

    Without certificates, the time stamp is reported but not verified. With them, a missing time
    stamp is a problem. Raises `ValueError` if the file is not an evidence file.
    """
    found = EvidenceFindings()
    signature, answer = read_time_stamp(file)
    if isinstance(answer, str):
        target = found.problems if trusted else found.notes
        target.append(f"No time stamp: {answer.strip()}. Not verified: when the file was signed.")
        return found
    try:
        stamp = verify_time_stamp(answer, signature, trusted)
    except ValueError as err:
        found.problems.append(f"The time stamp is not valid: {err}")
        return found
    at = f"{stamp.at:%Y-%m-%d %H:%M:%S} UTC"
    if trusted:
        found.notes.append(f"Time stamp of {at} by a trusted authority: {stamp.signer}")
        found.conclusions.append(_SHOWN)
    else:
        found.notes += [f"Time stamp of {at}, not verified: {stamp.signer}", _UNVERIFIED]
    return found
