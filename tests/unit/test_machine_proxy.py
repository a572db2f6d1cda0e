"""Which proxy calls go by: the machine's own, as its environment names it."""

import pytest

from shared.adapters.http.policies import proxies_to

PROXY = "http://proxy.contoso.example:3128"


def test_calls_go_by_the_proxy_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All calls are https: a proxy for http alone is none for them."""
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("HTTPS_PROXY", raising=False)
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    assert proxies_to("management.azure.com") == {}

    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    assert proxies_to("management.azure.com") == {"https": PROXY}


def test_hosts_that_need_no_proxy_are_called_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vault with a private endpoint, say."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "localhost,.vault.azure.net")

    assert proxies_to("kv-cmk.vault.azure.net") == {}
    assert proxies_to("management.azure.com") == {"https": PROXY}
