import base64
import json
from dataclasses import replace

import pytest

from local_cloud.tenant.core.tokens import SimulatedCaller, TokenIssuer, normalize_audience

CALLER = SimulatedCaller(
    object_id="o", app_id="a", is_delegated=True, audience="https://x.example/", tenant_id="t",
    upn="ada@x.example", name="Ada",
)  # fmt: skip


def test_issued_token_is_read() -> None:
    issuer = TokenIssuer()

    assert issuer.read(issuer.issue(CALLER)) == CALLER


def test_token_contains_the_signed_in_person() -> None:
    claims = decode_claims(TokenIssuer().issue(CALLER))
    of_an_application = decode_claims(TokenIssuer().issue(replace(CALLER, is_delegated=False)))

    assert (claims["upn"], claims["unique_name"], claims["name"]) == (
        "ada@x.example", "ada@x.example", "Ada",
    )  # fmt: skip
    assert of_an_application["idtyp"] == "app"
    assert {"upn", "unique_name", "name", "scp"} & of_an_application.keys() == set()


def decode_claims(token: str) -> dict[str, str]:
    claims: dict[str, str] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return claims


def test_token_of_another_tenant_is_rejected() -> None:
    with pytest.raises(ValueError, match="signature"):
        TokenIssuer().read(TokenIssuer().issue(CALLER))


def test_a_changed_token_is_rejected() -> None:
    issuer = TokenIssuer()
    head, body, signature = issuer.issue(CALLER).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["aud"] = "https://y.example/"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    with pytest.raises(ValueError, match="signature"):
        issuer.read(f"{head}.{forged}.{signature}")


@pytest.mark.parametrize("text", ["", "abc", "a.b", "a.b.c", "....", "a.!!!.c"])
def test_invalid_token_is_rejected(text: str) -> None:
    with pytest.raises(ValueError, match="token"):
        TokenIssuer().read(text)


def test_revoked_tokens_are_distinguished_from_new_ones() -> None:
    issuer = TokenIssuer()
    old = issuer.issue(CALLER)

    issuer.expire_all()

    assert issuer.read(issuer.issue(CALLER)) == CALLER
    with pytest.raises(ValueError, match="expired"):
        issuer.read(old)


def test_audiences_compare_without_case_and_final_slash() -> None:
    """The platform compares the audiences of its own APIs in this way."""
    assert normalize_audience("https://Service.example/") == normalize_audience(
        "https://service.example"
    )
