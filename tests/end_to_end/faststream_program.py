"""A FastStream application whose handlers call a REST service: one record, many at once, and behind a relay.

    python faststream_program.py CLIENT BROKER URL TOPIC-PREFIX COUNT

CLIENT is kafka (aiokafka) or confluent. It ends after COUNT calls. Topics: PREFIX-one, -many, -relay and -relayed.
"""

from __future__ import annotations

import asyncio
import sys
from importlib import import_module
from typing import Any

import requests
from faststream import FastStream

client, servers, url, prefix, wanted = sys.argv[1:]
broker: Any = import_module(f"faststream.{client}").KafkaBroker(servers)
app = FastStream(broker)
called: list[str] = []


async def rest(target: str) -> None:
    await asyncio.sleep(0.05)  # other handlers work on their records meanwhile
    requests.get(f"{url}/{target}", timeout=10)
    called.append(target)
    if len(called) == int(wanted):
        app.exit()


@broker.subscriber(f"{prefix}-one", auto_offset_reset="earliest")
async def one(number: int) -> None:
    await rest(f"one/{number}")


@broker.subscriber(f"{prefix}-many", auto_offset_reset="earliest", group_id=prefix, max_workers=2)
async def many(number: int) -> None:
    await rest(f"many/{number}")


@broker.subscriber(f"{prefix}-relay", auto_offset_reset="earliest")
@broker.publisher(f"{prefix}-relayed")
async def relay(number: int) -> int:
    return number


@broker.subscriber(f"{prefix}-relayed", auto_offset_reset="earliest")
async def relayed(number: int) -> None:
    await rest(f"relayed/{number}")


asyncio.run(app.run())
