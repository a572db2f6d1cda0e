import base64
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.adapters.archive.blob import BlobArchive
from shared.adapters.archive.folder import FolderArchive
from shared.adapters.http.policies import NoCircuitBreakerGate
from shared.errors import InvalidInput, NotFound
from shared.ports import Archive
from tests.fakes.memory_archive import MemoryArchive

KEY = base64.urlsafe_b64encode(bytes(range(32))).decode()


@pytest.fixture(params=["memory", "folder", pytest.param("blobs", marks=pytest.mark.azurite)])
async def archive(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Archive]:
    match request.param:
        case "memory":
            yield MemoryArchive()
        case "folder":
            yield FolderArchive(tmp_path / "archive", KEY)
        case _:
            connection = os.environ.get("AZURITE_CONNECTION_STRING")
            if connection is None:
                pytest.skip("AZURITE_CONNECTION_STRING is not set")
            from azure.storage.blob.aio import ContainerClient

            name = f"archive-{os.getpid()}"
            container = ContainerClient.from_connection_string(connection, name)
            await container.create_container()
            blobs = BlobArchive(container, NoCircuitBreakerGate())
            yield blobs
            await container.delete_container()
            await blobs.close()


async def test_stored_content_is_read_back(archive: Archive) -> None:
    content = bytes(range(256)) * 100

    await archive.put("env-1/flow-2/1.json", content)

    assert await archive.get("env-1/flow-2/1.json") == content


async def test_files_are_listed_by_name(archive: Archive) -> None:
    for name in ("b/c/1.json", "a", "b/a"):
        await archive.put(name, b"")

    assert await archive.list_names() == ["a", "b/a", "b/c/1.json"]
    assert await archive.list_names("b/") == ["b/a", "b/c/1.json"]


async def test_deleted_file_is_gone_and_the_others_stay(archive: Archive) -> None:
    await archive.put("a/b", b"b")
    await archive.put("a/c", b"c")

    await archive.delete("a/b")
    await archive.delete("a/b")

    assert await archive.list_names() == ["a/c"]
    assert await archive.put("a/b", b"new")
    assert await archive.get("a/b") == b"new"


async def test_second_put_does_not_replace_the_content(archive: Archive) -> None:
    """A step that runs twice must not replace the stored original by its own result."""
    first = await archive.put("a", b"original")

    second = await archive.put("a", b"changed")

    assert first == second
    assert await archive.get("a") == b"original"


async def test_missing_content_is_not_found(archive: Archive) -> None:
    with pytest.raises(NotFound):
        await archive.get("nothing/here")


async def test_archive_folder_contains_no_readable_text(tmp_path: Path) -> None:
    """A stored definition may contain a signature."""
    archive = FolderArchive(tmp_path, KEY)

    await archive.put("a/b", b"sig=secret secret secret")

    [file] = (tmp_path / "a").iterdir()
    assert b"secret" not in file.read_bytes()


async def test_sealed_file_is_readable_only_with_its_key_and_name(tmp_path: Path) -> None:
    archive = FolderArchive(tmp_path, KEY)
    await archive.put("a", b"text")
    (tmp_path / "b.sealed").write_bytes((tmp_path / "a.sealed").read_bytes())
    sealed = (tmp_path / "a.sealed").read_bytes()
    (tmp_path / "c.sealed").write_bytes(b"\x02" + sealed[1:])
    other = FolderArchive(tmp_path, base64.urlsafe_b64encode(bytes(32)).decode())

    for place, name in ((archive, "b"), (archive, "c"), (other, "a")):
        with pytest.raises(InvalidInput):
            await place.get(name)


@pytest.mark.parametrize("name", ["../a", "a/../b", "/a", "a//b", "", "a b", "a\n", "x" * 201])
async def test_name_outside_the_folder_is_rejected(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="is not a valid name"):
        await FolderArchive(tmp_path, KEY).put(name, b"")


@pytest.mark.parametrize("key", ["", "short", "!" * 44, base64.urlsafe_b64encode(b"x").decode()])
def test_invalid_archive_key_is_rejected(tmp_path: Path, key: str) -> None:
    with pytest.raises(ValueError, match="archive key"):
        FolderArchive(tmp_path, key)
