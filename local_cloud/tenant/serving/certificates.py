"""Create TLS certificates for the hosts of the tenant, signed by a temporary authority.

The hosts are not known in advance (each environment and vault has one), so a certificate is created
when a client first requests a host (SNI).
"""

import ssl
from pathlib import Path

import trustme


class Certificates:
    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._contexts: dict[str, ssl.SSLContext] = {}
        self.server_context = self._build_context("localhost")
        self.server_context.sni_callback = self._choose_certificate

    def write_ca_file(self, path: Path) -> None:
        self._authority.cert_pem.write_to_path(path)

    def _choose_certificate(
        self, connection: ssl.SSLObject | ssl.SSLSocket, name: str | None, _: ssl.SSLContext
    ) -> None:
        if name is not None:
            connection.context = self._build_context(name.lower())

    def _build_context(self, name: str) -> ssl.SSLContext:
        if name not in self._contexts:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._authority.issue_cert(name).configure_cert(context)
            self._contexts[name] = context
        return self._contexts[name]
