"""How jobs and copies are named: the same flow under the same policy has the same ids for ever."""

import hashlib
import uuid

#: Ids of jobs, copies and remediations are derived inside this namespace.
NAMESPACE = uuid.UUID("6f0a1d6e-8f3b-5a54-9d0a-2f6b7c1e9d11")


def derive_flow_job_id(environment_id: str, original_id: str, policy_id: str) -> str:
    """Return the id of the one job on this original under this policy."""
    return str(uuid.uuid5(NAMESPACE, f"job/{environment_id}/{original_id}/{policy_id}".lower()))


def derive_copy_id(environment_id: str, original_id: str, policy_id: str) -> str:
    """Return the Dataverse id of the one copy of this original under this policy."""
    return str(uuid.uuid5(NAMESPACE, f"copy/{environment_id}/{original_id}/{policy_id}".lower()))


def hash_key(*parts: str) -> str:
    """Return a key that any store takes, the same for the same parts."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:40]
