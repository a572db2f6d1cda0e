import pytest

from shared.adapters.http.policies import find_proxies

PROXY = "http://proxy.contoso.example:3128"


def test_requests_use_the_https_proxy_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The app ignores `HTTP_PROXY`, because all its requests use HTTPS."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    assert find_proxies("management.azure.com") == {}

    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert find_proxies("management.azure.com") == {"https": PROXY}


def test_hosts_in_no_proxy_are_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault with a private endpoint is such a host."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "localhost,.vault.azure.net")

    assert find_proxies("kv-cmk.vault.azure.net") == {}
    assert find_proxies("management.azure.com") == {"https": PROXY}
