"""Test that the reading sample draws from each kind of text, and draws the same texts for the same
seed.
"""

import re
from pathlib import Path

import pytest

from tests import reading_sample
from tests.reading_sample import COUNTS, Text

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def population() -> dict[str, list[Text]]:
    """Return all texts that can be drawn."""
    return reading_sample.collect_texts()


def list_files(texts: list[Text]) -> set[str]:
    """Return the files of these texts."""
    return {one.where.partition(":")[0] for one in texts}


def test_sample_has_the_promised_number_of_each_group() -> None:
    """No text is drawn twice."""
    sample = reading_sample.draw(7)

    assert {group: len(texts) for group, texts in sample.items()} == COUNTS
    assert all(len(set(texts)) == len(texts) for texts in sample.values())


def test_sample_of_a_seed_is_reproducible() -> None:
    first = reading_sample.format_sample(reading_sample.draw(7), 7)
    reading_sample.collect_texts.cache_clear()

    assert first == reading_sample.format_sample(reading_sample.draw(7), 7)
    assert reading_sample.draw(8) != reading_sample.draw(7)


def test_docstrings_and_names_come_from_every_folder(population: dict[str, list[Text]]) -> None:
    folders = {place.partition("/")[0] for place in list_files(population["Docstrings"])}
    packages = {path.parent for path in (ROOT / "shared").rglob("*.py")}
    names = {(ROOT / place).parent for place in list_files(population["Names of functions"])}

    assert folders == {*reading_sample.CODE}
    assert [one for one in packages if one not in names and len([*one.glob("*.py")]) > 1] == []


def test_sentences_come_from_every_document(population: dict[str, list[Text]]) -> None:
    pages = {
        str(path.relative_to(ROOT))
        for path in reading_sample.list_files(reading_sample.DOCUMENTS, r"\.md$")
    }

    assert pages - list_files(population["Sentences of documents"]) == set()


def test_screen_texts_come_from_pages_commands_and_reasons(
    population: dict[str, list[Text]],
) -> None:
    """Screen texts are found in Python files and in templates."""
    found = list_files(population["Texts on screen"])

    assert "shared/reason.py" in found
    assert any(re.fullmatch(r"functions/dashboard/\w+\.html\.j2", place) for place in found)
    assert any(re.fullmatch(r"functions/dashboard/\w+\.py", place) for place in found)
    assert any(place.startswith("cmkflow/") for place in found)


def test_types_and_paths_are_no_screen_texts(population: dict[str, list[Text]]) -> None:
    """Annotations of parameters and names of files are not shown to people."""
    texts = {one.text for one in population["Texts on screen"]}

    assert not {text for text in texts if text.startswith("Callable[") or " " not in text}


def test_every_text_is_at_its_stated_place(population: dict[str, list[Text]]) -> None:
    """The sample names file and line, so that a reader can check the text beside the code."""
    for one in population["Names of functions"]:
        path, _, line = one.where.partition(":")
        name = one.text.strip("`")
        assert f"def {name}" in (ROOT / path).read_text().splitlines()[int(line) - 1], one


def test_text_with_a_bar_or_a_newline_stays_in_its_cell() -> None:
    """In the printed table, bars are escaped and line breaks are removed."""
    table = reading_sample.format_sample({"Docstrings": [Text("a.py:1", "one | two\nthree")]}, 1)

    assert "| one \\| two three |" in table
