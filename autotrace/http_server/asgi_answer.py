"""The answer of an ASGI application on its way to the server: its status and its end. Sends nothing itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from autotrace.containment import contained

if TYPE_CHECKING:
    from collections.abc import Mapping

    from autotrace.http_server.request import Request


class Answer:
    """Stands between the application and the server's send(): reads the status and the end of the answer."""

    __slots__ = ("_place", "_request", "_send", "_trailers")

    def __init__(self, request: Request, send: Any, place: str) -> None:
        self._request = request
        self._send = send
        self._place = place
        self._trailers = False

    async def send(self, *args: Any, **kwargs: Any) -> Any:
        try:
            result = await self._send(*args, **kwargs)
        except OSError:
            self._request.is_disconnected = True
            raise
        try:
            self._note(args[0] if args else kwargs["message"])
        except Exception:
            contained(self._place)
        return result

    def _note(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind in ("http.response.body", "http.response.zerocopysend"):
            if not message.get("more_body") and not self._trailers:
                self._request.answer_sent()
        elif kind in ("http.response.start", "websocket.http.response.start"):
            self._trailers = bool(message.get("trailers"))
            self._request.set_status(message.get("status"))
        elif kind == "websocket.accept":
            self._request.upgrade()
        elif kind == "websocket.close":
            self._request.set_status(403)  # before the handshake it is a refusal; after it the span has ended
        elif kind == "http.response.pathsend" or (
            kind == "http.response.trailers" and not message.get("more_trailers")
        ):
            self._request.answer_sent()
