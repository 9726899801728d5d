"""Ask a Kafka broker, over a bare socket, whether it serves clients: a Metadata request (key 3, version 1).

ApiVersions would be too weak a question: a KRaft broker answers it while it is still fenced, and then lists no broker.
"""

from __future__ import annotations

import socket
import struct

# size, api key, api version, correlation id, client id, number of topics asked for (0: none, only brokers)
_BODY = struct.pack(">hhih5si", 3, 1, 1, 5, b"ready", 0)
_REQUEST = struct.pack(">i", len(_BODY)) + _BODY


def serves_clients(host: str, port: int) -> bool:
    """True when the metadata lists a live broker; False on anything else, no answer within 2 s included."""
    try:
        with socket.create_connection((host, port), timeout=2) as connection:
            connection.sendall(_REQUEST)
            answer = connection.makefile("rb").read(12)  # size, correlation id, number of brokers
    except OSError:
        return False
    return len(answer) == 12 and int(struct.unpack(">iii", answer)[2]) > 0
