"""Who may come in: the checks that need nothing of a request but its head. Pure; the first that fails is the answer.

    Door(names=frozenset({"127.0.0.1:8712"}), scheme="http", token="...").refusal("POST", "/v1/models", headers)

A page of another site can make a browser send requests here, also under a name that it has bent to 127.0.0.1. Its name then stands
in Host, its address in Origin, and it does not know the token.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from lathe.serve.refusal import Refusal

Headers = Sequence[tuple[bytes, bytes]]
"""Names in lower case, as ASGI gives them."""

OPEN_PAGES = frozenset({"/", "/page.css", "/page.js"})
"""What a browser loads before anybody can have shown a token; there is nothing of the run in them."""


@dataclass(frozen=True)
class Door:
    """names: what Host may be, with the port. scheme: http or https."""

    names: frozenset[str]
    scheme: str
    token: str

    def refusal(self, method: str, path: str, headers: Headers) -> Refusal | None:
        """Why this head is turned away, None where it may pass."""
        return (
            self._framing(headers)
            or self._host(headers)
            or self._origin(headers)
            or (None if path in OPEN_PAGES and method in ("GET", "HEAD") else self._bearer(headers))
            or (self._json(headers) if method == "POST" else None)
        )

    def _framing(self, headers: Headers) -> Refusal | None:
        """Two ways to say where a body ends are how requests are smuggled past a proxy."""
        if _all(headers, b"content-length") and _all(headers, b"transfer-encoding"):
            return Refusal(
                400, "Content-Length and Transfer-Encoding exclude each other", headers={"Connection": "close"}
            )
        return None

    def _host(self, headers: Headers) -> Refusal | None:
        hosts = _all(headers, b"host")
        if len(hosts) == 1 and hosts[0].decode("latin-1").lower() in self.names:
            return None
        return Refusal(421, f"this server answers as {' or '.join(sorted(self.names))} only")

    def _origin(self, headers: Headers) -> Refusal | None:
        own = {f"{self.scheme}://{name}" for name in self.names}
        if all(origin.decode("latin-1").lower() in own for origin in _all(headers, b"origin")):
            return None
        return Refusal(403, "pages of other sites may not ask here")

    def _bearer(self, headers: Headers) -> Refusal | None:
        shown = _all(headers, b"authorization")
        kind, _, token = shown[0].partition(b" ") if len(shown) == 1 else (b"", b"", b"")
        if kind.lower() == b"bearer" and hmac.compare_digest(token.strip(), self.token.encode()):
            return None
        return Refusal(
            401,
            "the token is missing or wrong; send it as Authorization: Bearer TOKEN",
            code="invalid_api_key",
            headers={"WWW-Authenticate": "Bearer"},
        )

    def _json(self, headers: Headers) -> Refusal | None:
        """A form of another site can send other types without asking first."""
        kinds = _all(headers, b"content-type")
        if len(kinds) == 1 and kinds[0].split(b";")[0].strip().lower() == b"application/json":
            return None
        return Refusal(415, "the body must be application/json")


def _all(headers: Headers, name: bytes) -> list[bytes]:
    return [value for key, value in headers if key == name]
