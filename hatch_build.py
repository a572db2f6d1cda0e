"""Let the wheel have one top-level package: `shared` is in it as `cmkflow._shared`.

`pyproject.toml` moves the files; this build hook rewrites their imports. Another package that is
called `shared` can then be installed beside the command line.
"""

import ast
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

_FROM_SHARED = re.compile(rb"from(\s+)shared\b")
#: A module's name in a text, which an import at run time would need.
_MODULE_NAME = re.compile(r"shared(\.[a-z_]+)+")


# Hatchling is installed where pip builds; elsewhere its types are missing.
class RenamePackage(BuildHookInterface[Any]):  # type: ignore[misc, unused-ignore]
    """Replaces each file of the wheel that imports `shared`."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Write the changed files and name them; an editable installation uses the checkout."""
        if version == "editable":
            return
        self._folder = TemporaryDirectory()
        included = [*self.build_config.builder.recurse_included_files()]
        for number, file in enumerate(included):
            if file.path.endswith(".py"):
                target = Path(self._folder.name, f"{number}.py")
                target.write_bytes(rewrite_imports(Path(file.path).read_bytes(), file.path))
                build_data["force_include"][str(target)] = file.distribution_path

    def finalize(self, version: str, *_: object) -> None:
        """Remove the changed files."""
        if version != "editable":
            self._folder.cleanup()


def rewrite_imports(source: bytes, path: str) -> bytes:
    """Return source code that imports from `cmkflow._shared` and not from `shared`.

    Raises `ValueError` for a use of the name that it cannot rewrite.
    """
    lines = source.splitlines(keepends=True)
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.ImportFrom(module=str(module), level=0) if _is_shared(module):
                line, column = lines[node.lineno - 1], node.col_offset
                changed, count = _FROM_SHARED.subn(rb"from\1cmkflow._shared", line[column:], 1)
                lines[node.lineno - 1] = line[:column] + changed
                is_rewritten = count == 1
            case ast.Import(names=names):
                is_rewritten = not any(_is_shared(one.name) for one in names)
            case ast.Constant(value=str(text)):
                is_rewritten = not _MODULE_NAME.fullmatch(text)
            case _:
                continue
        if not is_rewritten:
            message = "`shared` must be imported by `from shared… import …`, on one line"
            raise ValueError(f"{path}:{node.lineno}: {message}")
    return b"".join(lines)


def _is_shared(module: str) -> bool:
    return module.split(".")[0] == "shared"
