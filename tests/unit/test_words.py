from collections import Counter

import pytest

from tests.words import Hit, find_all_hits, find_hits, read_avoided_words

#: The highest allowed number for each folder. `python -m tests.words --lower` lowers them.
CEILINGS = {
    "shared": 193,
    "functions": 20,
    "cmkflow": 4,
    "docs": 18,
    "infra": 8,
    "local_cloud": 170,
    "tests": 1155,
    ".ci": 4,
    ".": 2,
}


def compute_allowed_reduction(ceiling: int) -> int:
    """Return by how much a number may be below its ceiling before the ceiling must be lowered."""
    return max(20, ceiling // 20)


@pytest.fixture(scope="module")
def hits() -> list[Hit]:
    return list(find_all_hits())


def test_words_to_avoid_of_each_folder_only_become_fewer(hits: list[Hit]) -> None:
    """If a number is far below its ceiling, run `python -m tests.words --lower`."""
    counts = Counter(hit.folder for hit in hits)

    for folder, ceiling in {**dict.fromkeys(counts, 0), **CEILINGS}.items():
        count = counts[folder]
        assert count <= ceiling, (
            f"{folder}: {count} words to avoid, {ceiling} allowed. "
            f"`python -m tests.words {folder}` lists them."
        )
        assert ceiling - count <= compute_allowed_reduction(ceiling), (
            f"{folder}: {count} words to avoid are left. Lower the ceiling from {ceiling} to "
            f"{count}: `python -m tests.words --lower`."
        )


def test_exceptions_have_a_reason_and_a_use(hits: list[Hit]) -> None:
    assert [str(hit) for hit in hits if hit.pattern == "avoid-ok"] == []


def test_table_of_words_is_read_whole() -> None:
    assert len(read_avoided_words()) == 58
    assert all(word.instead for word in read_avoided_words())


def find_words(path: str, text: str) -> list[str]:
    return [f"{hit.line}: {hit.found}" for hit in find_hits(path, text)]


@pytest.mark.parametrize(
    "text",
    [
        "The app lends a share.\n",
        "| a table | that lends |\n",
        "`lends`\n",
        "It gives\nback.\n",
        "It\ngives back.\n",
    ],
)
def test_word_in_a_document_is_found(text: str) -> None:
    assert len(find_words("docs/a.md", text)) == 1


@pytest.mark.parametrize(
    "code",
    [
        "# It lends a share.\n",
        "x = 1  # It gives\n# back.\n",
        '"""It lends."""\n',
        '"""It gives\nback."""\n',
        'x = f"it {y} lends"\n',
        'x = "lends_a_share"\n',
        "def lends_a_share(): ...\n",
        "class WhoLends: ...\n",
        "def f(*, lends=1): ...\n",
        "lends = 1\n",
        "x.lends = 1\n",
        "import a as lends\n",
        "for lends in x: ...\n",
    ],
)
def test_word_in_python_is_found(code: str) -> None:
    assert len(find_words("shared/a.py", code)) == 1


def test_name_of_a_library_is_not_found() -> None:
    """Names that the code only uses were chosen by others."""
    assert find_words("shared/a.py", "from a import lends\n\nlends.loan(x)\n") == []


def test_word_in_a_path_is_found() -> None:
    assert find_words("shared/lends_shares.py", "") == ["1: lends"]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("shared/a.py", "lends = 1  # avoid-ok: Microsoft's name\n"),
        ("shared/a.py", 'x = """One\nlends.\n"""  # avoid-ok: a quotation\n'),
        ("docs/a.md", "It lends. <!-- avoid-ok: a quotation -->\n"),
        ("infra/a.bicep", "param lends string // avoid-ok: Azure's name\n"),
    ],
)
def test_exception_with_a_reason_allows_the_words_of_its_line(path: str, text: str) -> None:
    assert find_words(path, text) == []


@pytest.mark.parametrize(
    "text",
    ["lends = 1  # avoid-ok\n", "lends = 1  # avoid-ok:\n", "x = 1  # avoid-ok: needed once\n"],
)
def test_exception_without_reason_or_use_is_found(text: str) -> None:
    assert find_words("shared/a.py", text) == ["1: avoid-ok"]


def test_exception_applies_to_its_own_line_only() -> None:
    text = "lends = 1  # avoid-ok: Microsoft's name\nloan = 1\n"

    assert find_words("shared/a.py", text) == ["2: loan"]


def test_pattern_does_not_apply_to_the_files_named_in_its_row() -> None:
    """For example, the files about AMQP may use the term *delivery*."""
    assert find_words("local_cloud/service_bus/amqp.py", "delivery = 1\n") == []
    assert find_words("local_cloud/demo/amqp.py", "delivery = 1\n") == ["1: delivery"]
