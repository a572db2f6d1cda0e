import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
_CODE = """
import importlib, pkgutil, sys
import cmkflow
for one in pkgutil.walk_packages(cmkflow.__path__, "cmkflow."):
    importlib.import_module(one.name)
ours = [one for name, one in sys.modules.items() if name.split(".")[0] in ("cmkflow", "shared")]
print("\\n".join(one.__file__ for one in ours))
"""


def list_imports() -> set[str]:
    reached = subprocess.run(
        [sys.executable, "-c", _CODE], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split()
    found = set()
    for path in reached:
        for node in ast.walk(ast.parse(Path(path).read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module)
    return found


def test_requirements_of_the_command_line_equal_its_imports() -> None:
    """An administrator who installs the command line gets no library that only the Functions app
    uses.
    """
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    required = {
        name.replace("-", ".") if name.startswith("azure-") else name.replace("-", "_")
        for one in project["dependencies"]
        for name in [re.split("[<>=]", one)[0].replace("PyYAML", "yaml")]
    }
    ours = {*sys.stdlib_module_names, "cmkflow", "shared"}
    outside = {name for name in list_imports() if name.split(".")[0] not in ours}

    covered = {
        name: next((one for one in required if f"{name}.".startswith(f"{one}.")), None)
        for name in outside
    }

    # The customer's key is looked at by the app alone, in a module that both read vaults with.
    assert {name for name, by in covered.items() if by is None} == {"azure.keyvault.keys.aio"}
    assert not required - set(covered.values())
