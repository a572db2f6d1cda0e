"""`cmkflow state`: export the state of an app to an encrypted file, or import such a file."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cmkflow.named_files import parse_file_name
from cmkflow.terminal import ask_secret, echo
from shared.domain.clouds import CLOUDS, CloudName
from shared.errors import CmkflowError

if TYPE_CHECKING:
    from cmkflow.state_file import StateFile, StateSecret
    from cmkflow.state_transfer import Contents, StatePlace

app = typer.Typer(
    no_args_is_help=True, help="Export the app's tables and archive, and import them."
)

_File = Annotated[
    Path, typer.Argument(metavar="FILE", parser=parse_file_name, help="Encrypted file.")
]
_Account = Annotated[
    str,
    typer.Option(metavar="NAME", help="Storage account with the state.", show_default=False),
]
_Folder = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        parser=parse_file_name,
        help="Local folder with the state; CMK_ARCHIVE_KEY is the key of its archive.",
        show_default=False,
    ),
]
_KeyFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        parser=parse_file_name,
        help="File with 32 random bytes in base64. Default: a passphrase, which the command asks "
        "for (CMKFLOW_STATE_PASSPHRASE).",
        show_default=False,
    ),
]
_Cloud = Annotated[CloudName, typer.Option(envvar="CMK_CLOUD", help="The tenant's cloud.")]
_ManagedIdentity = Annotated[
    bool,
    typer.Option(
        "--managed-identity",
        help="Use this machine's managed identity instead of the account of `az login`.",
    ),
]
_Passphrase = Annotated[str, typer.Option(envvar="CMKFLOW_STATE_PASSPHRASE", hidden=True)]
_ArchiveKey = Annotated[str, typer.Option(envvar="CMK_ARCHIVE_KEY", hidden=True)]


@app.command("export")
def export_state_file(
    file: _File,
    storage_account: _Account = "",
    state_folder: _Folder = None,
    key_file: _KeyFile = None,
    cloud: _Cloud = CloudName.PUBLIC,
    managed_identity: _ManagedIdentity = False,
    passphrase: _Passphrase = "",
    archive_key: _ArchiveKey = "",
) -> None:
    """Write the app's tables and archive to an encrypted file.

    Stop the app first. If interrupted, run the command again: it continues. Needs Storage Table
    Data Reader and Storage Blob Data Reader on the account.

    Examples:
        cmkflow state export state.cmkflow --storage-account cmkstate
        cmkflow state export state.cmkflow --state-folder var/state --key-file key
    """
    from cmkflow.state_file import StateFile
    from cmkflow.state_transfer import export_state

    place = _choose_state_place(storage_account, state_folder, archive_key, cloud, managed_identity)
    is_new = not file.exists()
    secret = _read_or_ask_secret(key_file, passphrase, is_new=is_new)
    opened = StateFile.create if is_new else StateFile.open
    found = _run_transfer(place, lambda: opened(file, secret), export_state)
    echo(f"Exported {_describe_contents(found)}.")


@app.command("import")
def import_state_file(
    file: _File,
    storage_account: _Account = "",
    state_folder: _Folder = None,
    key_file: _KeyFile = None,
    cloud: _Cloud = CloudName.PUBLIC,
    managed_identity: _ManagedIdentity = False,
    passphrase: _Passphrase = "",
    archive_key: _ArchiveKey = "",
) -> None:
    """Import an exported state into an empty storage account or folder, and verify it.

    An app that was only started has written rows; they count as empty, and are replaced. Stop the
    app first. If interrupted, run the command again: it continues, and the app rejects the store
    until the import is complete. Needs Storage Table Data Contributor and Storage Blob Data
    Contributor.

    Examples:
        cmkflow state import state.cmkflow --storage-account cmkstatenew
    """
    from cmkflow.state_file import StateFile
    from cmkflow.state_transfer import import_state

    place = _choose_state_place(storage_account, state_folder, archive_key, cloud, managed_identity)
    if not file.is_file():
        raise typer.BadParameter(f"There is no file {file}.", param_hint="FILE")
    secret = _read_or_ask_secret(key_file, passphrase, is_new=False)
    found = _run_transfer(place, lambda: StateFile.open(file, secret), import_state)
    echo(f"Imported {_describe_contents(found)}.")


def _choose_state_place(
    account: str, folder: Path | None, archive_key: str, cloud: CloudName, is_managed: bool
) -> "Callable[[], AbstractAsyncContextManager[StatePlace]]":
    from cmkflow.state_place import open_state_in_account, open_state_in_folder

    if bool(account) == bool(folder):
        raise typer.BadParameter("Give either --storage-account or --state-folder.")
    if folder and not archive_key:
        raise typer.BadParameter("Set CMK_ARCHIVE_KEY to the key of the folder's archive.")
    if folder:
        return lambda: open_state_in_folder(folder, archive_key)
    return lambda: open_state_in_account(account, CLOUDS[cloud], is_managed_identity=is_managed)


def _read_or_ask_secret(key_file: Path | None, passphrase: str, *, is_new: bool) -> "StateSecret":
    from cmkflow.state_file import StateSecret

    if key_file:
        try:
            return StateSecret(key_file.read_text(), is_key=True)
        except (OSError, UnicodeDecodeError):
            raise typer.BadParameter(f"Cannot read {key_file}.") from None
    return StateSecret(passphrase or ask_secret("Passphrase of the file", is_new=is_new))


def _run_transfer(
    place: "Callable[[], AbstractAsyncContextManager[StatePlace]]",
    open_file: "Callable[[], StateFile]",
    transfer: "Callable[[StatePlace, StateFile], Awaitable[Contents]]",
) -> "Contents":
    async def open_and_transfer() -> "Contents":
        async with place() as opened:
            return await transfer(opened, open_file())

    try:
        return asyncio.run(open_and_transfer())
    except OSError as err:
        raise typer.BadParameter(f"Cannot use {err.filename}: {err.strerror}.") from None
    except (CmkflowError, ValueError) as err:
        echo(str(err), err=True)
        raise typer.Exit(1) from None


def _describe_contents(found: "Contents") -> str:
    rows = found.rows.total()
    return f"{rows} rows of {len(found.rows)} tables, and {found.files} archived files"
