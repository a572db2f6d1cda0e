import hashlib
import io
import json
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.domain.evidence_file import (
    MANIFEST,
    NO_TIME_STAMP,
    SIGNATURE,
    EvidenceFile,
    find_manifest_differences,
    read_signature,
    read_time_stamp,
)
from shared.domain.signature import Signature, format_signature

PLAN = b'{"environment": "e"}'
VERSION = hashlib.sha256(PLAN).hexdigest()[:16]
APPROVED = f"approved-plans/e/{VERSION}.json"
SIGNED = format_signature("a test")


def build_pack(folder: Path, *, order: int = 1) -> bytes:
    folder.mkdir()
    pack = EvidenceFile(folder)
    for name, content in [("b.jsonl", b"1\n"), ("a.json", b"{}"), (APPROVED, PLAN)][::order]:
        pack.write(name, content)
    pack.write("b.jsonl", b"2\n")
    return pack.build_zip(pack.build_manifest({"remediation": "r"}), SIGNED, "a test")


def find_differences(content: bytes) -> list[str]:
    return list(find_manifest_differences(io.BytesIO(content)))


def rewrite_pack(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """Return the evidence file after `change`, zipped by Python's own library."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return target.getvalue()


def remove_signature(files: dict[str, bytes]) -> None:
    """Evidence files of earlier versions have neither of these files."""
    del files[SIGNATURE], files[NO_TIME_STAMP]


def test_the_same_files_make_the_same_bytes(tmp_path: Path) -> None:
    assert build_pack(tmp_path / "a") == build_pack(tmp_path / "b", order=-1)


def test_a_manifest_has_each_file_and_the_zip_opens_anywhere(tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(build_pack(tmp_path / "a"))) as archive:
        manifest = json.loads(archive.read(MANIFEST))
        assert archive.testzip() is None
        assert archive.read("b.jsonl") == b"1\n2\n"

    assert manifest["remediation"] == "r"
    assert manifest["files"]["a.json"] == {
        "sha256": hashlib.sha256(b"{}").hexdigest(),
        "bytes": 2,
    }
    assert set(manifest["files"]) == {"a.json", "b.jsonl", APPROVED}


def test_complete_evidence_file_has_no_differences_after_another_zip(tmp_path: Path) -> None:
    """A person may unpack the evidence file and zip it again."""
    content = build_pack(tmp_path / "a")

    assert find_differences(content) == []
    assert find_differences(rewrite_pack(content, lambda _: None)) == []


def test_folders_of_its_files_are_no_difference(tmp_path: Path) -> None:
    """A zip tool may add entries for the folders of the files."""

    def add_folders(files: dict[str, bytes]) -> None:
        files |= {"approved-plans/": b"", "approved-plans/e/": b""}

    assert find_differences(rewrite_pack(build_pack(tmp_path / "a"), add_folders)) == []


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("approved-plans/", b"more"),
        ("approved-plans/a message/", b""),
        ("approved-plans", b""),
        ("/", b""),
        ("a.json/", b""),
    ],
)
def test_other_folders_are_a_difference(tmp_path: Path, name: str, content: bytes) -> None:
    with_folder = rewrite_pack(
        build_pack(tmp_path / "a"), lambda files: files.update({name: content})
    )

    assert find_differences(with_folder) == [f"{name} is not in the manifest"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda files: files.update({"a.json": b"[]"}), "a.json was changed"),
        (lambda files: files.pop("b.jsonl"), "b.jsonl is missing"),
        (lambda files: files.update({"c.txt": b""}), "c.txt is not in the manifest"),
    ],
)
def test_each_changed_file_is_reported(
    tmp_path: Path, change: Callable[[dict[str, bytes]], None], said: str
) -> None:
    (difference,) = find_differences(rewrite_pack(build_pack(tmp_path / "a"), change))

    assert difference.startswith(said)


def test_plan_that_was_replaced_with_its_manifest_is_reported(tmp_path: Path) -> None:
    """The plan's file name contains the approved version, which is a hash of the plan."""

    def exchange(files: dict[str, bytes]) -> None:
        files[APPROVED] = b'{"environment": "another"}'
        manifest = json.loads(files[MANIFEST])
        manifest["files"][APPROVED] = {
            "sha256": hashlib.sha256(files[APPROVED]).hexdigest(),
            "bytes": len(files[APPROVED]),
        }
        files[MANIFEST] = json.dumps(manifest).encode()

    (difference,) = find_differences(rewrite_pack(build_pack(tmp_path / "a"), exchange))

    assert difference == f"{APPROVED} does not have the plan version in its name"


def test_a_plan_under_a_shorter_version_is_found(tmp_path: Path) -> None:
    """Somebody could construct another plan for a version of few digits."""

    def rename_files(files: dict[str, bytes]) -> None:
        manifest = json.loads(files[MANIFEST])
        for version in ("", VERSION[:3]):
            name = f"approved-plans/e/{version}.json"
            files[name], manifest["files"][name] = PLAN, manifest["files"][APPROVED]
        files[MANIFEST] = json.dumps(manifest).encode()

    assert len(find_differences(rewrite_pack(build_pack(tmp_path / "a"), rename_files))) == 2


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("name", [MANIFEST, SIGNATURE, "a.json"])
def test_duplicate_entry_of_the_zip_is_reported(tmp_path: Path, name: str) -> None:
    """Of two files with the same name, some tools show the first and others the last."""
    target = io.BytesIO(build_pack(tmp_path / "a"))
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr(name, archive.read(name))

    assert find_differences(target.getvalue()) == [f"{name} is in it twice"]


def build_other_zip() -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        archive.writestr("a.json", b"[]")
    return target.getvalue()


def with_comment(content: bytes) -> bytes:
    target = io.BytesIO(content)
    with zipfile.ZipFile(target, "a") as archive:
        archive.comment = b"a comment"
    return target.getvalue()


def with_unlisted_file(content: bytes) -> bytes:
    target = io.BytesIO(content)
    with zipfile.ZipFile(target, "a") as archive:
        archive.writestr("other.json", b"[]")
        archive.filelist.pop()
    return target.getvalue()


@pytest.mark.parametrize(
    "add",
    [
        lambda content: build_other_zip() + content,
        lambda content: content + build_other_zip()[:-22],
        with_comment,
        with_unlisted_file,
    ],
)
def test_bytes_outside_the_files_of_the_zip_are_reported(
    tmp_path: Path, add: Callable[[bytes], bytes]
) -> None:
    """Such bytes can contain a second zip, which only some tools show."""
    assert find_differences(add(build_pack(tmp_path / "a"))) == [
        "the zip has bytes that belong to none of its files"
    ]


def test_zip_that_was_streamed_has_no_differences(tmp_path: Path) -> None:
    """A tool that streams a zip writes the length of a file after its content."""
    with zipfile.ZipFile(io.BytesIO(build_pack(tmp_path / "a"))) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    reader, writer = socket.socketpair()
    with reader, writer, writer.makefile("wb") as target:
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in files.items():
                archive.writestr(name, content)
        target.flush()
        writer.shutdown(socket.SHUT_WR)
        streamed = reader.makefile("rb").read()

    assert find_differences(streamed) == []


def test_damaged_bytes_are_a_difference(tmp_path: Path) -> None:
    content = rewrite_pack(build_pack(tmp_path / "a"), lambda _: None)  # without compression

    (difference,) = find_differences(content.replace(PLAN, PLAN.upper(), 1))

    assert difference == f"{APPROVED} is damaged"


@pytest.mark.parametrize("content", [b"", b"no zip", None])
def test_file_that_is_not_an_evidence_file_raises_value_error(content: bytes | None) -> None:
    if content is None:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr("a", "b")
        content = target.getvalue()

    with pytest.raises(ValueError, match="not an evidence file"):
        find_differences(content)


def test_invalid_manifest_raises_value_error() -> None:
    for text in ("[]", "{", '{"files": {"a": 1}}', '{"files": []}', "{}"):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            archive.writestr(MANIFEST, text)
        with pytest.raises(ValueError, match="not an evidence file"):
            find_differences(target.getvalue())


def test_no_cell_of_a_table_is_a_formula(tmp_path: Path) -> None:
    """A spreadsheet must not execute a name from the tenant as a formula."""
    pack = EvidenceFile(tmp_path)
    pack.write_row("a.csv", ["=1+1", "@x", "-1", "a,b", None, 7])
    with zipfile.ZipFile(
        io.BytesIO(pack.build_zip(pack.build_manifest({}), SIGNED, "a test"))
    ) as archive:
        assert archive.read("a.csv") == b"'=1+1,'@x,'-1,\"a,b\",,7\r\n"


def test_read_signature_of_signed_pack_returns_manifest_and_signature(tmp_path: Path) -> None:
    signature = Signature(key_id="k", public_key="p", value="v")
    pack = EvidenceFile(tmp_path)
    manifest = pack.build_manifest({})

    content = pack.build_zip(manifest, format_signature(signature), b"der")

    assert read_signature(io.BytesIO(content)) == (manifest, signature)
    assert read_time_stamp(io.BytesIO(content)) == (format_signature(signature), b"der")


def test_read_signature_of_unsigned_pack_returns_the_reason(tmp_path: Path) -> None:
    content = build_pack(tmp_path / "a")

    older = rewrite_pack(content, remove_signature)

    assert read_signature(io.BytesIO(content))[1] == "a test"
    assert read_signature(io.BytesIO(older))[1] == "it has no signature file"
    assert read_time_stamp(io.BytesIO(content))[1] == "a test"
    assert read_time_stamp(io.BytesIO(older))[1] == "it has no time stamp file"
    assert find_differences(older) == []


@pytest.mark.parametrize("text", [b"[]", b"{", b'{"value": 1}', b'{"value": "v"}', b'{"x": "y"}'])
def test_read_signature_of_damaged_signature_raises(tmp_path: Path, text: bytes) -> None:
    content = rewrite_pack(
        build_pack(tmp_path / "a"), lambda files: files.update({SIGNATURE: text})
    )

    with pytest.raises(ValueError, match="not an evidence file"):
        read_signature(io.BytesIO(content))
