"""Compare the answers to third-party clients with those of `answers.json`, which a page summarizes.

With `THIRD_PARTY_CLIENTS_WRITE`, a run writes the file and the page instead.
"""

import json
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ANSWERS = Path(__file__).with_name("answers.json")
PAGE = Path(__file__).parents[2] / "docs" / "local-tenant.md"
_TABLE = re.compile(r"^\| Client \| Version \|.*?\n(?=\n|\Z)", re.DOTALL | re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientAnswers:
    """The calls of one client, with the answers of the local tenant."""

    version: str
    calls: tuple[tuple[str, str], ...]

    @property
    def rejections(self) -> int:
        """Return the number of calls that the tenant rejected."""
        return sum(answer.startswith("rejected") for _, answer in self.calls)


def read_answers() -> dict[str, ClientAnswers]:
    recorded = json.loads(ANSWERS.read_text())
    return {
        client: ClientAnswers(
            version=one["version"], calls=tuple((call, answer) for call, answer in one["calls"])
        )
        for client, one in recorded.items()
    }


def compare_answers(client: str, version: str, rows: Sequence[tuple[str, str]]) -> None:
    """Compare a client's answers with the recorded ones.

    With `THIRD_PARTY_CLIENTS_WRITE`, record them instead.
    """
    answers, now = read_answers(), ClientAnswers(version=version, calls=tuple(rows))
    if "THIRD_PARTY_CLIENTS_WRITE" in os.environ:
        write_answers({**answers, client: now})
    else:
        assert client in answers, f"no answers of {client}: make third-party-clients WRITE=1"
        assert answers[client] == now


def write_answers(answers: Mapping[str, ClientAnswers]) -> None:
    ANSWERS.write_text(
        json.dumps(
            {
                client: {"version": one.version, "calls": one.calls}
                for client, one in answers.items()
            },
            indent=1,
            ensure_ascii=False,
        )
        + "\n"
    )
    PAGE.write_text(replace_table(PAGE.read_text(), answers))


def replace_table(page: str, answers: Mapping[str, ClientAnswers]) -> str:
    lines = ["| Client | Version | Calls | Rejected, as the platform would |", "|---|---|---|---|"]
    lines += [
        f"| {client} | {one.version} | {len(one.calls)} | {one.rejections} |"
        for client, one in answers.items()
    ]
    written, count = _TABLE.subn("\n".join(lines) + "\n", page)
    if count != 1:
        raise ValueError(f"{PAGE.name} has {count} tables of clients")
    return written
