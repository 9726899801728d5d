"""An Oracle listener that refuses every connection: it reads a packet and answers that it knows no such service."""

from __future__ import annotations

import socket
import struct
import threading

REASON = b"(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=12514)(ERROR_STACK=(ERROR=(CODE=12514)(EMFI=4))))"
# Length, checksum, type 4 (REFUSE), flags, checksum of the header; whose reason it is; the reason itself.
REFUSAL = struct.pack(">HHBBHBBH", 12 + len(REASON), 0, 4, 0, 0, 1, 0, len(REASON)) + REASON


class RefusingListener:
    """`with RefusingListener() as listener`: listens on `listener.port` of this machine."""

    def __enter__(self) -> RefusingListener:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection:
                try:
                    connection.settimeout(5)
                    connection.recv(8192)
                    connection.sendall(REFUSAL)
                except OSError:
                    pass
