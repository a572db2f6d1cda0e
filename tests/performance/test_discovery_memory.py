"""Test how much memory a discovery needs, in a separate process."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.performance.large_environment import FLOWS, HELD_BACK

ROOT = Path(__file__).parents[2]
#: The smallest instance of a Functions app has 512 MiB, the app itself takes 100.
MOST_BYTES = 256 * 1024 * 1024


@pytest.mark.parametrize("held_back", [HELD_BACK, FLOWS])
def test_discovery_never_has_all_definitions_in_memory(held_back: int) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.performance.discovery_memory", str(held_back)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)

    assert told["planned"] == held_back
    assert told["growth"] <= MOST_BYTES, told
    assert told["growth"] <= told["definitions"], told
