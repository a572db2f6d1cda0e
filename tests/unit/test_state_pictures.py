import re
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from shared.domain.jobs.deletion_states import DELETION_STATES, DeletionState
from shared.domain.jobs.environment_states import ENVIRONMENT_STATES, EnvironmentJobState
from shared.domain.jobs.flow_states import FLOW_STATES, FlowJobState
from shared.domain.jobs.state_machine import TransitionProperties, require_transition

PAGE = (Path(__file__).parents[2] / "docs" / "architecture.md").read_text()

type Edge = tuple[str, str]


def parse_edges(picture: str) -> set[Edge]:
    """Return the transitions of a diagram. A transition that begins at a group of states begins at
    each of them.
    """
    groups: dict[str, set[str]] = {}
    edges: set[Edge] = set()
    inside = ""
    for line in map(str.strip, picture.splitlines()):
        if group := re.fullmatch(r'state ".+" as (\w+) \{', line):
            inside = group[1]
            groups[inside] = set()
        elif line == "}":
            inside = ""
        elif edge := re.match(r"(\w+) --> (\w+)", line):
            edges.add((edge[1], edge[2]))
            if inside:
                groups[inside] |= {edge[1], edge[2]}
    return {(state, after) for before, after in edges for state in groups.get(before, {before})}


@pytest.mark.parametrize(
    ("title", "states", "table"),
    [
        ("A flow job", FlowJobState, FLOW_STATES),
        ("An environment job", EnvironmentJobState, ENVIRONMENT_STATES),
        ("A delete of a retired original", DeletionState, DELETION_STATES),
    ],
)
def test_picture_shows_all_transitions_of_its_table(
    title: str, states: type[StrEnum], table: Mapping[Any, TransitionProperties[Any]]
) -> None:
    """A diagram may omit transitions to a pause."""
    section = PAGE.partition(f"## {title}\n")[2]
    picture = section.partition("```mermaid\nstateDiagram-v2\n")[2].partition("```")[0]
    drawn = {(states(before), states(after)) for before, after in parse_edges(picture)}
    pauses = {state for state in states if table[state].resumes_later}

    for before, after in drawn:
        require_transition(table, before, after)
    assert {edge for edge in drawn if edge[1] not in pauses} == {
        (before, after) for before in states for after in states if table[before].leads_to(after)
    }
    named = set(re.findall(r"\w+", section.partition("\n## ")[0]))
    assert [state for state in states if state not in named] == []
