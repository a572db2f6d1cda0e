import re
import subprocess
from pathlib import Path

import pytest

from shared.settings import Settings

ROOT = Path(__file__).parents[2]
PRODUCT = ("function_app.py", "shared", "functions", "cmkflow")
#: Each pattern has a letter in brackets, so that it does not match itself.
MACHINE = r"/[w]ork/|/[h]ome/[a-z]+/|/[U]sers/[A-Za-z]+/|/opt/[w]heels|[i]ndex-url|[f]ind-links"
REGISTRY = r"[p]ypi\.org|[p]ythonhosted|[a]rtifactory|[r]egistry\.npmjs|[d]evpi"
#: The base64url text of a signature is 43 characters long.
SIGNATURE = r"sig=[A-Za-z0-9_-]{40,}"


def find_hits(pattern: str, *where: str) -> list[str]:
    """Return the lines that match a pattern, as `git grep` prints them."""
    found = subprocess.run(
        ["git", "grep", "--untracked", "-nIE", pattern, "--", *(where or (".",))],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode in (0, 1), found.stderr
    return found.stdout.splitlines()


@pytest.mark.parametrize("pattern", [MACHINE, REGISTRY])
def test_no_file_contains_a_machine_path_or_a_registry_host(pattern: str) -> None:
    assert find_hits(pattern) == []


def test_no_file_outside_tests_contains_a_signature() -> None:
    """A text that looks like a signed URL may be a real secret."""
    assert find_hits(SIGNATURE, ".", ":!tests") == []


def test_product_does_not_import_the_local_cloud() -> None:
    """The local cloud is never deployed."""
    assert find_hits(r"(import|from) +local_cloud", *PRODUCT) == []


def test_no_setting_or_switch_selects_a_local_mode() -> None:
    word = re.compile("local|fake|simulat|emulat", re.IGNORECASE)

    assert [name for name in Settings.model_fields if word.search(name)] == []
    assert find_hits(r"\b(is|use|run|if)_(local|fake|simulat|emulat)", *PRODUCT) == []
    assert find_hits(r"(fake|simulat|emulat)", *PRODUCT) == []


def test_files_of_a_run_are_not_committed() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    # A link to a folder has no slash after its name.
    left = re.compile(
        r"(^|/)(\.venv|var|__pycache__|build|\.\w+_cache)(/|$)|\.pyc$|\.egg-info/|\.db$"
    )

    assert [name for name in listed if left.search(name)] == []
    assert "local.settings.json" not in listed
