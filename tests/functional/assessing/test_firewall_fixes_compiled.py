import re
from pathlib import Path

from tests.bicep_compiler import list_diagnostics, needs_compiler
from tests.functional.assessing.test_firewall_fix_texts import build_estate
from tests.kinds.cases import FIREWALL_KINDS

#: A text that begins with a comment is a part that a person puts into a resource: the rest of that
#: resource is missing (BCP035), or nothing uses the part yet.
_OF_A_PART = re.compile(r": Warning (BCP035|no-unused-vars|no-unused-params): ")


@needs_compiler
async def test_bicep_of_every_firewall_fix_compiles(tmp_path: Path) -> None:
    texts = {kind: (await build_estate(kind).require_only_fix()).bicep for kind in FIREWALL_KINDS}
    for kind, text in texts.items():
        (tmp_path / f"{kind}.bicep").write_text(text)

    said = list_diagnostics(tmp_path, "*.bicep")

    assert [
        one
        for one in said
        if not (_OF_A_PART.search(one) and texts[_parse_kind(one)].startswith("//"))
    ] == []


def _parse_kind(line: str) -> str:
    return Path(line.partition("(")[0]).stem
