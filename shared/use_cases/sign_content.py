"""Sign content with the key of this deployment, and date the signature."""

import base64
import hashlib

from shared.domain.signature import Signature
from shared.domain.trigger_urls.trigger_url import redact
from shared.errors import CmkflowError
from shared.logs.fields import get_product_log
from shared.services import Services

log = get_product_log(__name__)


async def sign_content(services: Services, content: bytes) -> Signature:
    """Return the signature of content with the key that CMK_EVIDENCE_KEY names.

    The setting must not be empty. Raises the errors of the vault.
    """
    key = await services.signing_keys.read(services.settings.evidence_key)
    value = await services.signing_keys.sign(key, hashlib.sha256(content).digest())
    return Signature(
        key_id=key.id, public_key=key.public_key, value=base64.b64encode(value).decode()
    )


async def try_to_sign(services: Services, content: bytes) -> Signature | str:
    """Return the signature of content, or the reason why there is none.

    An error of the vault is only logged, because evidence without a signature is better than none.
    """
    if not services.settings.evidence_key:
        return "no key is configured (CMK_EVIDENCE_KEY)"
    try:
        return await sign_content(services, content)
    except CmkflowError as err:
        reason = redact(str(err))
        log.warning("content not signed", extra={"text": reason})
        return f"the key vault did not sign it: {reason}"


async def try_to_stamp(
    services: Services, signature: Signature | str, signature_file: bytes
) -> bytes | str:
    """Return a time stamp of a signature's file, or the reason why there is none.

    An error of the authority is only logged, because evidence without a time stamp is better than
    none.
    """
    authority = services.settings.time_stamp_authority
    if not authority:
        return "no time stamp authority is configured (CMK_TIME_STAMP_AUTHORITY)"
    if isinstance(signature, str):
        return "the file is not signed"
    try:
        return await services.time_stamps.stamp(authority, signature_file)
    except CmkflowError as err:
        reason = redact(str(err))
        log.warning("content not time-stamped", extra={"text": reason})
        return f"{reason}. Check CMK_TIME_STAMP_AUTHORITY, then export the evidence again"
