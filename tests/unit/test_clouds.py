import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.domain.clouds import CLOUDS, CloudName, find_cloud_of_vault
from shared.domain.network.host_matching import is_microsoft_host

ROOT = Path(__file__).parents[2]
#: An example for a person, such as `https://VAULT.vault.azure.net/secrets/NAME`.
_EXAMPLE = re.compile(r"(.* )?https://[A-Z]+\.")
_DOMAINS = frozenset[str]().union(*(cloud.domains for cloud in CLOUDS.values()))


def _list_texts(file: Path) -> Iterator[str]:
    tree = ast.parse(file.read_text(encoding="utf-8"))
    docstrings = {
        node.body[0].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or node in docstrings:
            continue
        yield str(node.value)


def test_only_one_module_names_the_hosts_of_clouds() -> None:
    """A host that another module names would be wrong in other clouds."""
    found = [
        (str(file.relative_to(ROOT)), text)
        for folder in ("shared", "functions")
        for file in (ROOT / folder).rglob("*.py")
        if file.name != "clouds.py"
        for text in _list_texts(file)
        if any(domain in text for domain in _DOMAINS) and not _EXAMPLE.match(text)
    ]

    assert found == []


@pytest.mark.parametrize("name", CloudName)
def test_each_host_of_a_cloud_is_microsofts(name: CloudName) -> None:
    """Firewalls of the customer do not protect Microsoft's own hosts."""
    cloud = CLOUDS[name]

    assert is_microsoft_host(cloud.derive_environment_host("6f1c0000-0000-4000-8000-000000000077"))
    assert is_microsoft_host(f"contoso.crm.{cloud.dataverse_domain}")
    assert not is_microsoft_host(f"{cloud.sign_in_host}.contoso.example")


def test_environment_host_outside_the_public_cloud_ends_in_one_digit() -> None:
    """The environment's id in the host is split before its last digit."""
    host = CLOUDS[CloudName.GCC].derive_environment_host("6F1C0000-0000-4000-8000-000000000077")

    assert (
        host == "6f1c000000004000800000000000007.7.environment.api.gov.powerplatform.microsoft.us"
    )


def test_cloud_of_a_vault_is_that_of_its_domain() -> None:
    found = find_cloud_of_vault("https://kv.vault.usgovcloudapi.net/keys/evidence")

    assert found.key_vault_scope == "https://vault.usgovcloudapi.net/.default"
    assert find_cloud_of_vault("https://kv.example/keys/k") is CLOUDS[CloudName.PUBLIC]
