"""Derive the ids of jobs and copies. The same flow and policy always give the same ids."""

import hashlib
import uuid

#: Namespace of the ids of jobs, copies and remediations.
NAMESPACE = uuid.UUID("6f0a1d6e-8f3b-5a54-9d0a-2f6b7c1e9d11")


def derive_flow_job_id(environment_id: str, original_id: str, policy_id: str) -> str:
    """Return the id of the flow job for this original and policy."""
    return str(uuid.uuid5(NAMESPACE, f"job/{environment_id}/{original_id}/{policy_id}".lower()))


def derive_copy_id(environment_id: str, original_id: str, policy_id: str) -> str:
    """Return the Dataverse id of the copy of this original under this policy."""
    return str(uuid.uuid5(NAMESPACE, f"copy/{environment_id}/{original_id}/{policy_id}".lower()))


def hash_key(*parts: str) -> str:
    """Return a hash of the parts. Every store accepts it as a key."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
