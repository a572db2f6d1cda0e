"""Run a proxy through which clients that only know real host names reach the tenant.

`HTTPS_PROXY` has its address. A connection to a host of the tenant is forwarded to the TLS port,
and any other is rejected, so that no request leaves the machine.
"""

import asyncio
import contextlib
from collections.abc import Callable

_CHUNK = 65536


class Tunnel:
    """A proxy on a free port of 127.0.0.1 that supports only CONNECT."""

    def __init__(self, *, serves: Callable[[str], bool], tls_port: int) -> None:
        self._serves = serves
        self._tls_port = tls_port
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.Task[None]] = set()
        #: Hosts that were asked for and refused, oldest first.
        self.refused: list[str] = []

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._accept_client, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def disconnect(self) -> None:
        for task in self._connections:
            task.cancel()

    async def _accept_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections.add(task)
        task.add_done_callback(self._connections.discard)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, TimeoutError):
            await self._serve_client(reader, writer)
        writer.close()

    async def _serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, *_ = [*head.split("\r\n", 1)[0].split(), "", ""]
        host, _, port = target.rpartition(":")
        if method != "CONNECT":
            text = "This proxy only tunnels: use an https:// address."
            await _send_refusal(writer, "405 Method Not Allowed", text)
        elif port != "443" or not self._serves(host):
            self.refused.append(target)
            text = f"The local tenant does not serve {target}, and nothing may leave this machine."
            await _send_refusal(writer, "403 Forbidden", text)
        else:
            await self._join_streams(reader, writer)

    async def _join_streams(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", self._tls_port)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        try:
            await asyncio.gather(
                _copy_bytes(reader, inner_writer), _copy_bytes(inner_reader, writer)
            )
        finally:
            inner_writer.close()


async def _copy_bytes(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_CHUNK):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


async def _send_refusal(writer: asyncio.StreamWriter, status: str, text: str) -> None:
    body = (text + "\n").encode()
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    writer.write(head.encode() + body)
    await writer.drain()
