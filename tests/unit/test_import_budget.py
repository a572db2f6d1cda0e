"""How long the app takes to start: each cold start of an instance pays for its imports.

Times of one machine say nothing about another, so the app is compared with `azure.functions`,
which every Functions app imports, by processor time. Where the budget was set that took 65 ms, and
400 ms are allowed (design §7).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
#: 400 ms over 65 ms.
MOST = 6.0
HEAVY = (
    "azure.data.tables",
    "azure.identity",
    "azure.keyvault",
    "azure.mgmt",
    "azure.servicebus",
    "azure.storage.blob",
    "aiohttp",
    "cryptography",
    "jinja2",
    "msal",
    "requests",
    "rich",
    "typer",
    "local_cloud",
    "cmkflow",
)
_CODE = """
import json, sys, time
start = time.process_time()
import azure.functions
middle = time.process_time()
import function_app
end = time.process_time()
loaded = sorted(sys.modules)
print(json.dumps({"library": middle - start, "app": end - start, "modules": loaded}))
"""


def _start(bytecode: Path) -> dict[str, object]:
    """Import the app in a process of its own, which finds and keeps compiled modules in a folder.

    Elsewhere it depends on the machine whether there are any, and the test would time the compiler.
    """
    variables = {**os.environ, "PYTHONPYCACHEPREFIX": str(bytecode), "PYTHONDONTWRITEBYTECODE": ""}
    done = subprocess.run(
        [sys.executable, "-c", _CODE],
        cwd=ROOT,
        env=variables,
        capture_output=True,
        text=True,
        check=True,
    )
    told: dict[str, object] = json.loads(done.stdout)
    return told


def test_the_app_starts_within_its_budget(tmp_path: Path) -> None:
    """Of three starts the best counts, after one that compiles."""
    _start(tmp_path)
    ratios = []
    for _ in range(3):
        told = _start(tmp_path)
        ratios.append(float(str(told["app"])) / float(str(told["library"])))

    assert min(ratios) <= MOST, ratios


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    """SDKs are imported with the first call that needs them, what is never deployed not at all."""
    modules = _start(tmp_path)["modules"]

    assert isinstance(modules, list)
    loaded = {heavy for heavy in HEAVY for name in modules if f"{name}.".startswith(f"{heavy}.")}
    assert loaded == set()
