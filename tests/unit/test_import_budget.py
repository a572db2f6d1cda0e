"""What the app takes to start: each cold start of an instance pays for its imports.

Times depend on the machine and its load, so the operations of the imports are counted and compared
with those of `azure.functions`, which every Functions app imports. When the budget was set, the
app took 400 ms, `azure.functions` took 65 ms, and the app took 3.8 times the operations.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 4.2
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
import importlib, json, sys
from tests.performance.operation_count import count_operations
library = count_operations(lambda: importlib.import_module("azure.functions"))
app = library + count_operations(lambda: importlib.import_module("function_app"))
loaded = sorted(sys.modules)
print(json.dumps({"library": library, "app": app, "modules": loaded}))
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
    """The first start compiles the modules, the second is counted."""
    _start(tmp_path)
    told = _start(tmp_path)
    ratio = float(str(told["app"])) / float(str(told["library"]))

    assert ratio <= MOST, ratio


def test_nothing_heavy_is_imported_before_it_is_needed(tmp_path: Path) -> None:
    """SDKs are imported with the first call that needs them, what is never deployed not at all."""
    modules = _start(tmp_path)["modules"]

    assert isinstance(modules, list)
    loaded = {heavy for heavy in HEAVY for name in modules if f"{name}.".startswith(f"{heavy}.")}
    assert loaded == set()
