"""Find texts in committed files that look like a secret, with the program detect-secrets.

    python -m tests.supply_chain.secret_scan DETECT-SECRETS [--write]

`.secrets.baseline` has the SHA-1 of each text that a person has read and found harmless. Any other
text fails the scan. `--write` adds it to the baseline.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BASELINE = ROOT / ".secrets.baseline"
#: Files of hashes, and what the compiler writes from infra/.
GENERATED = r"requirements[a-z-]*\.txt|\.secrets\.baseline|infra/snapshots/.*\.json"

#: File → the texts in it: `type`, `line_number` and `hashed_secret`, a SHA-1 in hexadecimal.
type Texts = Mapping[str, Sequence[Mapping[str, Any]]]


def scan(program: Path, folder: Path = ROOT) -> Texts:
    """Return what detect-secrets finds in the files that are not generated. It sends no text
    anywhere.
    """
    command = [str(program.absolute()), "-C", str(folder), "scan", "--no-verify"]
    # It reports each name that contains `secret`; ruff reports passwords in code.
    command += ["--disable-plugin", "KeywordDetector"]
    done = subprocess.run(
        [*command, "--exclude-files", f"(^|/)({GENERATED})$"],
        cwd=folder,
        stdout=subprocess.PIPE,
        check=True,
    )
    found: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)["results"]
    return found


def find_new_texts(found: Texts, known: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the place and the kind of each text that is not in the baseline."""
    return [
        f"{path}:{one['line_number']}: {one['type']}"
        for path, texts in found.items()
        for one in texts
        if one["hashed_secret"] not in known.get(path, ())
    ]


def main() -> int:
    """Print the new texts. Returns 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("program", type=Path, metavar="DETECT-SECRETS")
    parser.add_argument("--write", action="store_true", help="these texts are no secrets")
    given = parser.parse_args()
    found = scan(given.program)
    if given.write:
        hashes = {path: [one["hashed_secret"] for one in texts] for path, texts in found.items()}
        BASELINE.write_text(json.dumps(hashes, indent=1) + "\n")
        return 0
    new = find_new_texts(found, json.loads(BASELINE.read_text()))
    if new:
        print(*new, "Remove each secret and revoke it. No secret: make secrets WRITE=1", sep="\n")
    return 1 if new else 0


if __name__ == "__main__":
    sys.exit(main())
