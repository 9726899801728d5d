"""The process behind mock_broker.py: `mock_broker_server.py PORT` serves librdkafka's mock cluster on 127.0.0.1:PORT.

The mock cluster is reached by ctypes in the library inside the confluent-kafka wheel (its functions: rdkafka_mock.h).
Its answer to ApiVersions above version 2 is malformed, which hangs kafka-python 3; so a front on PORT answers those
requests itself, with UNSUPPORTED_VERSION as KIP-511 has it, and passes everything else on untouched.
"""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
import struct
import sys
from pathlib import Path

_API_VERSIONS, _UNSUPPORTED_VERSION = 18, 35
# api key -> highest version: what Kafka 2.3 spoke, which every version of kafka-python gets along with
_HIGHEST = {0: 7, 1: 11, 2: 5, 3: 8, 8: 7, 9: 5, 10: 2, 11: 5, 12: 3, 13: 2, 14: 3, 22: 1, 28: 2}


class MockCluster:
    """One mock broker, as long as the process lives: it listens on `address` and advertises 127.0.0.1:`public_port`."""

    def __init__(self, public_port: int) -> None:
        library = _librdkafka()
        problem = ctypes.create_string_buffer(512)
        producer = 0  # RD_KAFKA_PRODUCER: the mock cluster lives inside a client instance, of either kind
        client = library.rd_kafka_new(producer, library.rd_kafka_conf_new(), problem, len(problem))
        if not client:
            raise RuntimeError(problem.value.decode())
        cluster = library.rd_kafka_mock_cluster_new(client, 1)
        library.rd_kafka_mock_group_initial_rebalance_delay_ms(cluster, 300)
        for key, highest in _HIGHEST.items():
            _checked(library.rd_kafka_mock_set_apiversion(cluster, key, 0, highest))
        host, _, port = library.rd_kafka_mock_cluster_bootstraps(cluster).decode().rpartition(":")
        self.address: tuple[str, int] = (host, int(port))
        _checked(library.rd_kafka_mock_broker_set_host_port(cluster, 1, b"127.0.0.1", public_port))


def _checked(error_code: int) -> None:
    if error_code:
        raise RuntimeError(f"librdkafka's mock cluster refused a setting: error {error_code}")


def _librdkafka() -> ctypes.CDLL:
    wheel = importlib.util.find_spec("confluent_kafka")
    if wheel is None or wheel.origin is None:
        raise SystemExit("confluent-kafka is not installed: pip install confluent-kafka")
    beside = Path(wheel.origin).parent.parent
    found = sorted(
        [*beside.glob("confluent_kafka.libs/librdkafka*"), *beside.glob("confluent_kafka/.dylibs/librdkafka*")]
    )
    if not found:
        raise SystemExit("confluent-kafka is installed without its own librdkafka: install its wheel")
    library = ctypes.CDLL(str(found[0]))
    pointer, text, short = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int16
    for name, result, arguments in (
        ("rd_kafka_conf_new", pointer, []),
        ("rd_kafka_new", pointer, [ctypes.c_int, pointer, text, ctypes.c_size_t]),
        ("rd_kafka_mock_cluster_new", pointer, [pointer, ctypes.c_int]),
        ("rd_kafka_mock_cluster_bootstraps", text, [pointer]),
        ("rd_kafka_mock_group_initial_rebalance_delay_ms", None, [pointer, ctypes.c_int32]),
        ("rd_kafka_mock_broker_set_host_port", ctypes.c_int, [pointer, ctypes.c_int32, text, ctypes.c_int]),
        ("rd_kafka_mock_set_apiversion", ctypes.c_int, [pointer, short, short, short]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def _serve(client: asyncio.StreamReader, to_client: asyncio.StreamWriter, address: tuple[str, int]) -> None:
    broker, to_broker = await asyncio.open_connection(*address)
    answers = asyncio.ensure_future(_pass_on(broker, to_client))
    try:
        while True:
            size = await client.readexactly(4)
            request = await client.readexactly(int.from_bytes(size, "big"))
            key, version, correlation_id = struct.unpack_from(">hhi", request)
            if key == _API_VERSIONS and version > 2:
                # version 0 of the answer: correlation id, error, then one entry: this api, versions 0 to 2
                answer = struct.pack(">ihihhh", correlation_id, _UNSUPPORTED_VERSION, 1, _API_VERSIONS, 0, 2)
                to_client.write(len(answer).to_bytes(4, "big") + answer)
                await to_client.drain()
            else:
                to_broker.write(size + request)
                await to_broker.drain()
    except (asyncio.IncompleteReadError, ConnectionError):
        pass
    finally:
        to_broker.close()
        to_client.close()
        await answers


async def _main(port: int) -> None:
    cluster = MockCluster(port)
    server = await asyncio.start_server(lambda r, w: _serve(r, w, cluster.address), "127.0.0.1", port)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_main(int(sys.argv[1])))
