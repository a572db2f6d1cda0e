"""The table of what works for outsiders, where nobody has their clients."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "local-tenant.md"


def test_every_client_has_a_table_in_which_no_call_fails() -> None:
    """A run that failed may have written it."""
    _, *sections = re.split(r"^## ", PAGE.read_text(), flags=re.MULTILINE)

    assert len(sections) == 6
    for section in sections:
        answers = re.findall(r"^\| `.+` \| (.+) \|$", section, re.MULTILINE)
        assert len(answers) >= 8, section.splitlines()[0]
        assert not [answer for answer in answers if answer.startswith("fails")]
