"""Which proxy calls go by: the machine's own, as its environment names it."""

import pytest

from shared.adapters.http.policies import find_proxies

PROXY = "http://proxy.contoso.example:3128"


def test_requests_use_the_https_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All requests use HTTPS, so `HTTP_PROXY` alone does not apply."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    assert find_proxies("management.azure.com") == {}

    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert find_proxies("management.azure.com") == {"https": PROXY}


def test_hosts_in_no_proxy_are_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """An example is a vault with a private endpoint."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "localhost,.vault.azure.net")

    assert find_proxies("kv-cmk.vault.azure.net") == {}
    assert find_proxies("management.azure.com") == {"https": PROXY}
