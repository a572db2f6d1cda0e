"""Test the sample of texts that readers mark, as docs/style.md describes."""

import re
from pathlib import Path

import pytest

from tests import reading_sample
from tests.reading_sample import COUNTS, Text

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def population() -> dict[str, list[Text]]:
    return reading_sample.collect_texts()


def list_files(texts: list[Text]) -> set[str]:
    return {one.where.partition(":")[0] for one in texts}


def test_sample_has_the_promised_number_of_each_group() -> None:
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
    found = list_files(population["Texts on screen"])

    assert "shared/reason.py" in found
    assert any(re.fullmatch(r"functions/dashboard/\w+\.html\.j2", place) for place in found)
    assert any(re.fullmatch(r"functions/dashboard/\w+\.py", place) for place in found)
    assert any(place.startswith("cmkflow/") for place in found)


def test_types_and_paths_are_no_screen_texts(population: dict[str, list[Text]]) -> None:
    texts = {one.text for one in population["Texts on screen"]}

    assert not {text for text in texts if text.startswith("Callable[") or " " not in text}


def test_every_text_is_at_its_stated_place(population: dict[str, list[Text]]) -> None:
    """A reader must be able to check the text beside the code."""
    for one in population["Names of functions"]:
        path, _, line = one.where.partition(":")
        name = one.text.strip("`")
        assert f"def {name}" in (ROOT / path).read_text().splitlines()[int(line) - 1], one


def test_text_with_a_bar_or_a_newline_stays_in_its_cell() -> None:
    table = reading_sample.format_sample({"Docstrings": [Text("a.py:1", "one | two\nthree")]}, 1)

    assert "| one \\| two three |" in table
