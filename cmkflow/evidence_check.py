"""Check an evidence file, and say what its hashes, signature, time stamp and seals show.

Imported only when the command runs, because cryptography loads slowly.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedReader

from cryptography.x509 import Certificate

from cmkflow.evidence_seals import EvidenceFindings, check_seals
from shared.domain.evidence_file import find_manifest_differences, read_signature, read_time_stamp
from shared.domain.signature import Signature
from shared.signatures import compute_fingerprint, is_signature_valid
from shared.time_stamps import verify_time_stamp

_CONFIRMED = (
    "Verified: nobody has changed the file since this key signed it. Not verified: whether the "
    "app recorded everything that happened (docs/evidence.md)."
)
_UNCONFIRMED = (
    "Verified: nobody has changed the file since the holder of this key signed it. Not "
    "verified: who the holder is, because anyone can make a key and give it this name. To confirm "
    "the key, use --key-id or --public-key."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedEvidence:
    """What the options of `cmkflow evidence check` require of an evidence file."""

    #: SHA-256 of the evidence file, in hex; empty: not known.
    sha256: str = ""
    #: Fingerprints of public keys that may have signed it; empty: any key.
    fingerprints: frozenset[str] = frozenset()
    #: URL of the key, with or without a version; empty: any key.
    key_id: str = ""
    #: Certificates of time stamp authorities; empty: a time stamp is not verified.
    tsa_certificates: tuple[Certificate, ...] = ()
    #: Returns the public key, as PEM, of a versioned key URL from its vault.
    read_public_key: Callable[[str], str]

    @property
    def needs_signature(self) -> bool:
        """Return whether an evidence file without a signature is rejected."""
        return bool(self.fingerprints or self.key_id)

    def is_expected_key(self, key_id: str) -> bool:
        """Return whether a URL names the expected key or a version of it."""
        expected = self.key_id.rstrip("/").lower()
        key, _, version = key_id.lower().rpartition("/")
        # A version with dots could lead to another key of the vault.
        return key_id.lower() == expected or (key == expected and version.isalnum())


def check_evidence(file: BufferedReader, expected: ExpectedEvidence) -> EvidenceFindings:
    """Return the problems of an evidence file, and what its checks show. Raises `ValueError` if it
    is another kind of file.
    """
    check = EvidenceFindings(problems=list(find_manifest_differences(file)))
    file.seek(0)
    manifest, signature = read_signature(file)
    if not check.problems:
        check.notes.append("All files match the manifest.")
    _collect_signature_findings(check, manifest, signature, expected)
    check.merge_findings(check_time_stamp(file, expected.tsa_certificates))
    check.merge_findings(check_seals(file, manifest))
    file.seek(0)
    digest = hashlib.file_digest(file, "sha256").hexdigest()
    check.notes.append(f"SHA-256 of the evidence file: {digest}")
    if expected.sha256 and expected.sha256.lower() != digest:
        check.problems.append(f"The SHA-256 is {digest}, not {expected.sha256.lower()}.")
    return check


def _collect_signature_findings(
    check: EvidenceFindings, manifest: bytes, signature: Signature | str, expected: ExpectedEvidence
) -> None:
    if isinstance(signature, str):
        text = f"Not signed: {signature}."
        if expected.needs_signature:
            check.problems.append(text)
        else:
            check.notes.append(
                f"{text} A person who changes a file can write a new manifest, so the match shows "
                "only that the evidence file is not damaged."
            )
        return
    if not is_signature_valid(signature, manifest):
        check.problems.append(
            f"The signature is not valid: the manifest was changed after it was signed, or the key "
            f"is not that of the signature. Named key: {signature.key_id}"
        )
        return
    public_key = f"SHA-256 of the public key: {compute_fingerprint(signature.public_key)}"
    if not expected.needs_signature:
        check.notes += [
            f"The signature is valid, but the key is not confirmed: {signature.key_id}",
            public_key,
        ]
        check.conclusions.append(_UNCONFIRMED)
        return
    if problems := list(_find_key_problems(signature, expected)):
        check.problems += [*problems, public_key]
        return
    check.notes += [f"Signed with the expected key: {signature.key_id}", public_key]
    check.conclusions.append(_CONFIRMED)


def _find_key_problems(signature: Signature, expected: ExpectedEvidence) -> Iterator[str]:
    own = compute_fingerprint(signature.public_key)
    if expected.fingerprints and own not in expected.fingerprints:
        yield "The file is not signed with the key in --public-key."
    if not expected.key_id:
        return
    if not expected.is_expected_key(signature.key_id):
        yield f"The file names a key other than --key-id: {signature.key_id}"
    elif compute_fingerprint(expected.read_public_key(signature.key_id)) != own:
        yield f"The file is not signed with the key in the vault: {signature.key_id}"


_SHOWN = (
    "Verified: the signature existed at the time of the time stamp. Not verified: whether the "
    "authority has revoked its certificate."
)
_UNVERIFIED = (
    "The time stamp was not verified, so it does not show when the file was signed. To verify "
    "it, use --tsa-certificates."
)


def check_time_stamp(file: BufferedReader, trusted: Sequence[Certificate]) -> EvidenceFindings:
    """Check the time stamp of an evidence file.

    `trusted` contains certificates of time stamp authorities. Without them, the time stamp is not
    verified; with them, a missing one is a problem. Raises `ValueError` if the file is not an
    evidence file.
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
