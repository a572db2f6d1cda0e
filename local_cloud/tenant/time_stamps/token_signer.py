"""Answer time stamp queries (RFC 3161) with signed tokens (CMS, RFC 5652).

The module uses an ASN.1 library other than the app's, so that both do not make the same mistakes.
"""

import hashlib
import secrets
from datetime import datetime, timedelta

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

#: Policy of every token, as in OpenSSL's example.
POLICY = "1.2.3.4.1"
#: Hash algorithms of an imprint, with their length in bytes.
_ALGORITHMS = {"sha256": 32, "sha384": 48, "sha512": 64}
_EXPONENT, _KEY_SIZE = 65537, 2048
_YEAR = timedelta(days=365)


class TimeStampAnswer(core.Sequence):  # type: ignore[misc]  # the library has no types
    """An answer to a query. Unlike the library's class, it needs no token."""

    _fields = [  # noqa: RUF012
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


class RefusedQuery(Exception):
    def __init__(self, failure: str, why: str) -> None:
        super().__init__(why)
        self.failure = failure


class TokenSigner:
    """A time stamp authority with its certificates and its temporary key."""

    def __init__(self, name: str, now: datetime) -> None:
        root_key = generate_private_key(_EXPONENT, _KEY_SIZE)
        self._key = generate_private_key(_EXPONENT, _KEY_SIZE)
        self.name = name
        self.root = _build_certificate(f"{name} root", root_key, None, now)
        self.certificate = _build_certificate(name, self._key, (self.root, root_key), now)

    @property
    def pem(self) -> bytes:
        return self.root.public_bytes(Encoding.PEM)

    def answer(self, query: bytes, now: datetime) -> bytes:
        """Return the answer to a query, in DER: a token or a rejection."""
        try:
            token = self._sign_token(_read_query(query), now)
        except RefusedQuery as err:
            status = {
                "status": "rejection",
                "status_string": [str(err)],
                "fail_info": {err.failure},
            }
            rejected: bytes = TimeStampAnswer({"status": status}).dump()
            return rejected
        granted = {"status": {"status": "granted"}, "time_stamp_token": token}
        content: bytes = TimeStampAnswer(granted).dump()
        return content

    def _sign_token(self, query: tsp.TimeStampReq, now: datetime) -> cms.ContentInfo:
        nonce = query["nonce"].native
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": POLICY,
                "message_imprint": query["message_imprint"],
                "serial_number": secrets.randbits(63),
                "gen_time": now.replace(microsecond=0),
                "accuracy": {"seconds": 1},
                **({} if nonce is None else {"nonce": nonce}),
            }
        )
        der = self.certificate.public_bytes(Encoding.DER)
        signer = asn1_x509.Certificate.load(der)
        signed = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(info.dump()).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [{"certs": [{"cert_hash": hashlib.sha256(der).digest()}]}],
                },
            ]
        )
        sha256 = algos.DigestAlgorithm({"algorithm": "sha256"})
        by = {"issuer": signer.issuer, "serial_number": signer.serial_number}
        signer_info = {
            "version": "v1",
            "sid": cms.SignerIdentifier("issuer_and_serial_number", by),
            "digest_algorithm": sha256,
            "signed_attrs": signed,
            "signature_algorithm": {"algorithm": "rsassa_pkcs1v15"},
            "signature": self._key.sign(signed.dump(), PKCS1v15(), SHA256()),
        }
        content = {
            "version": "v3",
            "digest_algorithms": [sha256],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": core.ParsableOctetString(info.dump()),
            },
            "signer_infos": [signer_info],
        }
        if query["cert_req"].native:
            content["certificates"] = [signer]
        return cms.ContentInfo({"content_type": "signed_data", "content": content})


def _read_query(query: bytes) -> tsp.TimeStampReq:
    """Parse a query. Raises `RefusedQuery` if it cannot be granted."""
    try:
        read = tsp.TimeStampReq.load(query, strict=True)
        read.native  # noqa: B018  # the library parses members when they are first read
    except (ValueError, TypeError, KeyError) as err:
        raise RefusedQuery("bad_data_format", f"The query is malformed: {err}") from None
    if read["version"].native != "v1":
        raise RefusedQuery("bad_request", "The version has to be 1.")
    imprint = read["message_imprint"].native
    length = _ALGORITHMS.get(imprint["hash_algorithm"]["algorithm"])
    if length is None:
        raise RefusedQuery("bad_alg", "The hash algorithm is not supported.")
    if len(imprint["hashed_message"]) != length:
        raise RefusedQuery("bad_data_format", "The hash has another length than its algorithm.")
    if read["req_policy"].native not in {None, POLICY}:
        raise RefusedQuery("unaccepted_policy", "The policy is not supported.")
    if read["extensions"].native:
        raise RefusedQuery("unaccepted_extensions", "No extension is supported.")
    return read


def _build_certificate(
    name: str,
    key: RSAPrivateKey,
    issuer: tuple[x509.Certificate, RSAPrivateKey] | None,
    now: datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _YEAR)
        .not_valid_after(now + 10 * _YEAR)
        .add_extension(x509.BasicConstraints(ca=not issuer, path_length=None), critical=True)
    )
    if issuer:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        certificate = certificate.add_extension(usage, critical=True)
    return certificate.sign(issuer[1] if issuer else key, SHA256())
