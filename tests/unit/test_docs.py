import ast
import inspect
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path
from unicodedata import normalize

import pytest

from local_cloud.tenant.core.assumptions import Assumptions
from shared import errors
from shared.domain import platform_errors
from shared.domain.jobs.flow_job import MigrationMethod, RollbackStage
from shared.domain.plans.microsoft_key_reason import MicrosoftKeyReason
from shared.kind_discovery import find_kinds
from shared.reason import Reason
from shared.settings import Settings
from shared.state.tables import Tables
from shared.use_cases.show_settings import read_setting_meanings
from tests import documented_commands, runbook_tables, settings_tables
from tests.pins import read_requirements

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*documented_commands.PAGES, ROOT / "CHANGELOG.md"]


def read_page(name: str) -> str:
    return (DOCS / name).read_text()


def find_first_cells(text: str) -> list[str]:
    return re.findall(r"^\| (.+?) \|", text, re.MULTILINE)


def find_code(cells: list[str]) -> set[str]:
    return {word for cell in cells for word in re.findall(r"`([^`]+)`", cell)}


# --- settings, commands, kinds --------------------------------------------------------------------


def test_documented_settings_equal_the_settings_of_the_code() -> None:
    text = read_page("settings.md")
    ours, _, _ = text.partition("## Read by the Functions host")
    names = {
        str(field.validation_alias or f"CMK_{name.upper()}")
        for name, field in Settings.model_fields.items()
    }

    assert find_code(find_first_cells(ours)) == names


def test_settings_table_is_generated_from_the_code() -> None:
    """If this fails, run `python -m tests.settings_tables`, which writes the table."""
    text = read_page("settings.md")

    assert text == settings_tables.with_table(text)
    for name in Settings.model_fields:
        assert re.fullmatch(r"[A-Z][^|\n]+\.", read_setting_meanings()[name]), name


def test_every_schedule_is_documented() -> None:
    source = (ROOT / "functions" / "timers.py").read_text()

    schedules = set(re.findall(r"%(CMK_\w+)%", source))
    assert schedules <= find_code(find_first_cells(read_page("settings.md")))


@pytest.mark.parametrize(
    ("package", "name"), [("shared.callers", "callers.md"), ("shared.firewalls", "network.md")]
)
def test_every_kind_is_documented(package: str, name: str) -> None:
    kinds = {kind.kind for kind in find_kinds(package)}

    assert kinds
    assert kinds <= find_code(find_first_cells(read_page(name)))


def test_every_microsoft_key_reason_is_documented() -> None:
    _, _, section = read_page("assess.md").partition("| `microsoft_key_reasons` |")

    assert {str(reason) for reason in MicrosoftKeyReason} <= find_code(find_first_cells(section))


# --- errors, codes, states ------------------------------------------------------------------------


def test_error_tree_in_the_docstring_contains_every_error() -> None:
    tree = {
        name
        for name, one in inspect.getmembers(errors, inspect.isclass)
        if issubclass(one, errors.CmkflowError)
    }
    listed = re.findall(r"^(?:[│ ]*[├└]── )?([A-Z]\w+)(?= {2,}|$)", errors.__doc__ or "", re.M)

    assert sorted(listed) == sorted(tree)


def test_runbook_tables_are_generated_and_contain_every_reason_and_platform_code() -> None:
    """If this fails, run `python -m tests.runbook_tables`, which writes the tables."""
    text = read_page("runbook.md")
    listed = find_code(re.findall(r"^\* (`[^:\n]+`): ", text, re.MULTILINE))

    assert text == runbook_tables.with_tables(text)
    assert {code for code in listed if code in set(Reason)} == set(Reason)
    assert {code for one in platform_errors.REFUSALS for code in one.codes} <= listed


@pytest.mark.parametrize("anchor", runbook_tables.ENTRIES)
def test_runbook_entry_names_its_reasons(anchor: str) -> None:
    sections = re.split(r"^## (.+)$", read_page("runbook.md"), flags=re.MULTILINE)
    by_anchor = {
        title.lower().replace(" ", "-"): text
        for title, text in zip(sections[1::2], sections[2::2], strict=True)
    }

    reasons = runbook_tables.ENTRIES[anchor]
    assert [one for one in reasons if f"`{one}`" not in by_anchor[anchor]] == []


def test_runbook_without_a_place_for_a_table_is_rejected() -> None:
    """Otherwise the generator could leave out a table, and no test would fail."""
    with pytest.raises(ValueError, match="no place for the reasons"):
        runbook_tables.with_tables("# Operations")


def test_texts_of_reasons_fit_the_table_of_the_runbook() -> None:
    for reason in Reason:
        assert not re.search(r"\n", reason.meaning + reason.fix), reason
        assert reason.meaning.endswith("."), reason
        assert reason.fix.endswith((".", ")")), reason


def test_every_undocumented_platform_error_is_listed_for_verification() -> None:
    """Somebody must verify such a code on a real tenant."""
    text = read_page("verify-on-a-real-tenant.md")
    guesses = {one.code for one in platform_errors.REFUSALS if not one.is_documented}

    assert {code for code in guesses if f"`{code}`" not in text} == set()


def test_every_pattern_stage_and_table_is_described() -> None:
    text = read_page("architecture.md")
    words = [*MigrationMethod, *RollbackStage]
    tables = [name.replace("_", "") for name in Tables.list_item_types()]

    assert [word for word in [*words, *tables] if not re.search(rf"\b{word}\b", text)] == []


def test_every_error_line_of_the_log_has_a_runbook() -> None:
    """A log line of level ERROR means that a person must act."""
    section = read_page("runbook.md").partition("## Log messages")[2].partition("\n## ")[0]
    plain = re.sub(r"[`…]|NAME", "", section)
    for path in [*(ROOT / "shared").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]:
        for line in re.findall(r'log\.(?:error|exception)\(\s*"([^"]+)"', path.read_text()):
            words = [part.strip(" :,") for part in line.split("%s")]
            longest = max(words, key=len).partition(":")[0]
            assert longest in plain, f"{path.name}: {line}"


def test_every_assumption_is_listed_for_verification() -> None:
    """Somebody must verify each assumption of the local tenant on a real one."""
    text = read_page("verify-on-a-real-tenant.md")

    assert [one.name for one in fields(Assumptions) if f"`{one.name}`" not in text] == []


# --- names in code --------------------------------------------------------------------------------

#: Names that documents show and the repository does not have: the platform's, and examples.
NAMES_ELSEWHERE = {
    *("OnGroupMembership", "PowerPages", "SlidingWindow", "TranscriptTrigger"),
    *("AdminFlowEncryptedByMicrosoftKey", "ListCannotMigrateToCustomerManagedKey"),
    *("NoRegisteredProviderFound", "VaultAlreadyExists"),
    *("ListResponse", "snake_case", "PYTHON_THREADPOOL_THREAD_COUNT"),
}
TEXT_FILES = {
    ".py",
    ".bicep",
    ".json",
    ".j2",
    ".toml",
    ".txt",
    ".sh",
    ".mjs",
    ".js",
    ".yaml",
    ".yml",
    "",
}
_NAME = re.compile(r"\b(?:[a-z]+(?:_[a-z0-9]+)+|(?:[A-Z][a-z0-9]+){2,}|[A-Z]+(?:_[A-Z0-9]+)+)\b")


def find_code_names(text: str) -> set[str]:
    """Return the names with an underscore or an inner capital between backticks in a text."""
    text = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    return {name for code in re.findall(r"`([^`\n]+)`", text) for name in _NAME.findall(code)}


@pytest.fixture(scope="module")
def names_of_the_repository() -> set[str]:
    """Return the words of source files, and their names without suffix."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    paths = [ROOT / name for name in listed if Path(name).suffix in TEXT_FILES]
    words = {path.stem for path in paths}
    for path in paths:
        if path.is_file() and path != Path(__file__):
            words |= set(re.findall(r"\w+", path.read_text()))
    return words


@pytest.mark.parametrize(
    "path",
    [path for path in documented_commands.PAGES if "tenant" not in path.parts],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_every_code_name_in_a_document_exists(
    path: Path, names_of_the_repository: set[str]
) -> None:
    missing = find_code_names(path.read_text()) - names_of_the_repository - NAMES_ELSEWHERE

    assert missing == set()


def test_code_names_are_found_in_a_document() -> None:
    text = "`moving_parts`, `MovingParts.state`, `CMK_MOVING`, `word`\n```\n`in_a_block`\n```\n"

    assert find_code_names(text) == {"moving_parts", "MovingParts", "CMK_MOVING"}


# --- dependencies ---------------------------------------------------------------------------------


def read_required_packages(requirements: str) -> set[str]:
    return {pin.name for pin in read_requirements(ROOT / requirements).direct}


def test_documented_dependencies_equal_the_required_packages() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = {
        name
        for file in ROOT.glob("requirements*.txt")
        for name in read_required_packages(file.name)
    }
    wanted |= {re.split("[<>=]", one)[0] for one in project["dependencies"]}
    cells = find_first_cells(read_page("dependencies.md"))

    documented = {one.lower() for cell in cells for one in cell.split(", ")} - {"package", "---"}
    assert documented == {one.lower() for one in wanted}


def test_requirements_of_the_app_equal_its_imports() -> None:
    imported = set()
    for path in [
        ROOT / "function_app.py",
        *(ROOT / "shared").rglob("*.py"),
        *(ROOT / "functions").rglob("*.py"),
    ]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                imported.add(node.module)

    def build_module_name(package: str) -> str:
        if package == "opentelemetry-api":
            return "opentelemetry"
        is_dotted = package.startswith(("azure-", "opentelemetry-"))
        return package.replace("-", "." if is_dotted else "_").lower()

    wanted = {build_module_name(package) for package in read_required_packages("requirements.txt")}
    assert not {
        one for one in wanted if not any(f"{name}.".startswith(f"{one}.") for name in imported)
    }
    outside = {name for name in imported if name.split(".")[0] not in sys.stdlib_module_names}
    outside -= {name for name in outside if name.split(".")[0] in {"shared", "functions"}}
    assert {
        name for name in outside if not any(f"{name}.".startswith(f"{one}.") for one in wanted)
    } == set()


# --- links ---------------------------------------------------------------------------------------


def find_anchors(path: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", normalize("NFKC", title).lower()).strip().replace(" ", "-")
        for title in titles
    }


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_has_a_target(path: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", path.read_text()):
        if "://" in target:
            continue
        name, _, anchor = target.partition("#")
        there = (path.parent / name).resolve() if name else path
        assert there.exists(), target
        assert not anchor or anchor in find_anchors(there), target


def test_every_page_is_linked_from_the_readme() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md"]
    while waiting:
        here = waiting.pop()
        if here in reached or not here.is_file():
            continue
        reached.add(here)
        if here.suffix == ".md":
            links = re.findall(r"\]\(([^)#\s]+)", here.read_text())
            waiting += [(here.parent / link).resolve() for link in links if "://" not in link]
            waiting += [
                one / "README.md"
                for one in [(here.parent / link).resolve() for link in links if "://" not in link]
                if one.is_dir()
            ]

    assert set(PAGES) - reached == set()


def test_contributing_names_every_folder_and_its_tests() -> None:
    table = (ROOT / "CONTRIBUTING.md").read_text()
    named = {name.rstrip("/") for name in re.findall(r"`([\w./]+)`", table) if "/" in name}
    subjects = {
        str(path.relative_to(ROOT))
        for folder in ("shared", "shared/steps", "local_cloud", "tests/functional")
        for path in (ROOT / folder).iterdir()
        if path.is_dir() and path.name != "__pycache__"
    }

    assert {name for name in named if not (ROOT / name).exists()} == set()
    assert [one for one in subjects if not any(name.startswith(one) for name in named)] == []
