"""HTTP POSTs to one URL over one kept connection. A POST is repeated only if the kept connection proves closed.

Not http.client: its debuglevel prints, programs put spies and recorders into it, and its buffered readers hold a lock
that a fork would find held. Limits: HTTP/1.1, no redirects, no proxies.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, unquote, urlsplit

from autotrace.export.transport import Rejected, Transport, Unavailable, first_line, reason
from autotrace.export.transport.http_answer import Answer
from autotrace.export.transport.sockets import TCP, Connection, TlsConnection

_RETRYABLE = (408, 425, 429)
_PRINTABLE = "".join(map(chr, range(33, 127)))


class Http(Transport):
    """User and password of the URL become Basic authorization. `target` is the URL without them.

    Raises ValueError for a URL that is none.
    """

    def __init__(self, url: str, content_type: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not a URL such as http://host:14268/api/traces")
        authority = parts.netloc.rpartition("@")[2]
        super().__init__(f"{parts.scheme}://{authority}{parts.path}")
        secure = parts.scheme == "https"
        self.host, self.port = parts.hostname, parts.port or (443 if secure else 80)
        self._tls = _tls_context() if secure else None
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [
            f"POST {quote(path, _PRINTABLE)} HTTP/1.1",
            f"Host: {authority if authority.isascii() else authority.encode('idna').decode()}",
            f"Content-Type: {content_type}",
            *_authorization(parts),
            "Content-Length: ",
        ]
        self._head = "\r\n".join(lines).encode()

    def send(self, body: bytes, deadline: float) -> None:
        """Returns after a 2xx response. Raises Unavailable (not reached, too late, 408, 425, 429, 5xx) or Rejected."""
        try:
            answer = self._exchange(body, deadline)
            text = answer.body(deadline)
            if answer.will_close:
                self.close()
        except BaseException as failure:
            self.close()  # it stopped in the middle of an exchange and cannot be used again
            # Also for what a guard of the program's raises: whatever stands between us and the collector may go away.
            if not isinstance(failure, Exception):
                raise
            raise Unavailable(f"{self.target}: {reason(failure)}") from failure
        if not 200 <= answer.status < 300:
            message = f"{self.target}: {answer.status} {answer.phrase} {first_line(text)}".rstrip()
            retryable = answer.status in _RETRYABLE or answer.status >= 500
            raise (Unavailable if retryable else Rejected)(message)

    def _exchange(self, body: bytes, deadline: float) -> Answer:
        """Once; a second time if the server had closed the kept connection before it sent any byte of a response."""
        if self.connection is not None:
            if self.connection.usable() and self.connection.is_idle():
                try:
                    return self._post(body, deadline)
                except ConnectionError:
                    pass
            self.close()
        if self._tls is None:
            self.connection = Connection(self.host, self.port, TCP, deadline)
        else:
            self.connection = TlsConnection(self.host, self.port, self._tls, deadline)
        return self._post(body, deadline)

    def _post(self, body: bytes, deadline: float) -> Answer:
        self.connection.send(b"%b%d\r\n\r\n%b" % (self._head, len(body), body), deadline)
        return Answer(self.connection, deadline)


def _tls_context() -> Any:
    import ssl  # 15 ms: not before it is needed

    # The one that http.client uses: a program may have chosen another for all of its HTTPS.
    return ssl._create_default_https_context()


def _authorization(parts: Any) -> list[str]:
    if parts.username is None:
        return []
    from binascii import b2a_base64

    pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
    return ["Authorization: Basic " + b2a_base64(pair.encode(), newline=False).decode()]
