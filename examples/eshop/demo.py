"""`make demo`: the eshop on real parts, one checkout, its trace and its two graphs. Exit code 0 only if the trace is exactly right.

KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL: the user's own are used. JAEGER_ENDPOINT: what was received is sent there too.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import textwrap
import time
import urllib.error
import urllib.request
from contextlib import ExitStack
from typing import TYPE_CHECKING

from examples.eshop import graphs, real, tree
from examples.eshop.expected_tags import Places
from examples.eshop.places import Tables
from examples.eshop.screen import WIDTH, paint
from examples.eshop.shop import SERVICES, Shop
from examples.eshop.story import STEPS, faults
from real_parts.cache import Unavailable
from real_parts.receiver import Receiver

if TYPE_CHECKING:
    from real_parts.jaeger_thrift import ReceivedSpan

ANSWER = "The order is created.<BR>The payment is done.<BR>The delivery is arranged."
SETTINGS = {"AUTOTRACE_FLUSH_SECONDS": "0.2"}
PATIENCE = 20.0
"""Seconds until a trace that is not whole is judged as it is."""
LATE = 0.8
"""Seconds, several times as long as a service keeps its spans: what comes so late, after the last one expected, is too much."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without these characters gets `?`
    try:
        with ExitStack() as opened:
            return _demo(opened)
    except (real.Stop, Unavailable) as reason:
        print(f"\n{paint('The demo cannot run', 'red')}: {reason}")
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 130


def _demo(opened: ExitStack) -> int:
    print(f"\n{paint('setting up', 'bold')}\n")
    database = real.database(opened)
    opened.enter_context(Tables(database))
    kafka = real.kafka(opened)
    receiver = opened.enter_context(Receiver())
    shop = Shop(kafka, database.url, {**SETTINGS, "AUTOTRACE_ENDPOINT": receiver.http_url})
    real.step("services", lambda: opened.enter_context(shop), lambda _: f"{', '.join(SERVICES)}")
    places = Places(shop.urls, kafka, database)

    print(f"\n{paint('GET /checkout', 'bold')}\n")
    wrong = _checkout(shop)
    spans = _received(receiver)
    wrong += faults(spans, places)
    _show(spans)
    if wrong:
        _blame(wrong, shop)
        return 1
    print(paint("The trace is exactly right:", "green"), f"{len(STEPS)} spans, with their parents, names and tags.")
    return 0 if _forwarded(receiver, spans) else 1


def _checkout(shop: Shop) -> list[str]:
    """Ask, and print the answer. What is wrong with it."""
    try:
        answer = shop.checkout().decode()
    except OSError as error:
        return [f"GET /checkout: {error}"]
    print(f"  {answer}\n")
    return [] if answer == ANSWER else [f"GET /checkout answered {answer!r}, expected is {ANSWER!r}"]


def _received(receiver: Receiver) -> list[ReceivedSpan]:
    try:
        receiver.wait(len(STEPS), seconds=PATIENCE)
    except AssertionError as error:  # too few, or not to be decoded: judged with what there is
        print(f"  {error}\n")
    time.sleep(LATE)
    return list(receiver.spans)


def _show(spans: list[ReceivedSpan]) -> None:
    for line in (*tree.drawn(spans), "", *graphs.side_by_side(spans), ""):
        print(line)


def _blame(wrong: list[str], shop: Shop) -> None:
    print(paint("The trace is not right:", "red"))
    for line in wrong:
        print(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
    for service in SERVICES:
        print(f"\n{paint(f'log of {service}', 'bold')}\n{shop.log(service)}")


def _forwarded(receiver: Receiver, spans: list[ReceivedSpan]) -> bool:
    """What the services sent goes to JAEGER_ENDPOINT as it came. False, and a line, where it is not taken."""
    endpoint = os.environ.get("JAEGER_ENDPOINT", "")
    if not endpoint:
        return True
    try:
        for body in receiver.bodies:
            request = urllib.request.Request(endpoint, body, {"Content-Type": "application/x-thrift"})
            urllib.request.urlopen(request, timeout=10).close()
    except (OSError, ValueError) as error:
        print(f"JAEGER_ENDPOINT={endpoint}: {error}. It must look like http://host:14268/api/traces")
        return False
    print(f"Your Jaeger has it too: trace {spans[0].trace_id:032x}, sent to {endpoint}")
    return True


if __name__ == "__main__":
    sys.exit(main())
