"""Tokens of the local tenant: who made them, and how long they hold."""

import base64
import json

import pytest

from local_cloud.tenant.core.tokens import Caller, TokenIssuer, same_audience

CALLER = Caller(
    object_id="o", app_id="a", is_delegated=True, audience="https://x.example/", tenant_id="t"
)


def test_a_token_is_read_back() -> None:
    """Everything that the caller is survives the token."""
    issuer = TokenIssuer()

    assert issuer.read(issuer.issue(CALLER)) == CALLER


def test_a_token_of_another_tenant_is_refused() -> None:
    """Nobody but the tenant signs."""
    with pytest.raises(ValueError, match="signature"):
        TokenIssuer().read(TokenIssuer().issue(CALLER))


def test_a_changed_token_is_refused() -> None:
    """Another audience in the same token breaks its signature."""
    issuer = TokenIssuer()
    head, body, signature = issuer.issue(CALLER).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    claims["aud"] = "https://y.example/"
    forged = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()

    with pytest.raises(ValueError, match="signature"):
        issuer.read(f"{head}.{forged}.{signature}")


@pytest.mark.parametrize("text", ["", "abc", "a.b", "a.b.c", "....", "a.!!!.c"])
def test_what_is_no_token_is_refused(text: str) -> None:
    """Garbage is an answer of 401, not a crash."""
    with pytest.raises(ValueError, match="token"):
        TokenIssuer().read(text)


def test_expired_tokens_are_told_from_new_ones() -> None:
    """A token got right after the revocation is good."""
    issuer = TokenIssuer()
    old = issuer.issue(CALLER)

    issuer.expire_all()

    assert issuer.read(issuer.issue(CALLER)) == CALLER
    with pytest.raises(ValueError, match="expired"):
        issuer.read(old)


def test_audiences_compare_without_case_and_final_slash() -> None:
    """As the platform compares them for its own APIs."""
    assert same_audience("https://Service.example/") == same_audience("https://service.example")
