"""The steps around a demo's story: wait for the spans, show them, name the faults, forward them, end in order."""

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

from examples.harness import graphs, real, tree
from examples.harness.screen import WIDTH, paint
from test_services.cache import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from examples.harness.services import Services
    from test_services.jaeger_thrift import ReceivedSpan
    from test_services.receiver import Receiver

LATE = 0.8
"""Seconds to wait for unexpected spans after the last expected one: longer than a service keeps its spans."""


def run(demo: Callable[[ExitStack], int]) -> int:
    """The exit code of a demo; whatever it opened is closed, also after Ctrl-C and SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without these characters gets `?`
    try:
        with ExitStack() as opened:
            return demo(opened)
    except (real.Stop, Unavailable) as reason:
        print(f"\n{paint('The demo cannot run', 'red')}: {reason}")
        return 1
    except KeyboardInterrupt:
        print("\nstopped")
        return 130


def answered(services: Services, server: str, path: str, expected: str) -> list[str]:
    """Ask, and print the answer. What is wrong with it."""
    try:
        answer = services.get(server, path).decode()
    except OSError as error:
        return [f"GET {path}: {error}"]
    print(f"  {answer}\n")
    return [] if answer == expected else [f"GET {path} answered {answer!r}, expected is {expected!r}"]


def received(receiver: Receiver, count: int, patience: float) -> list[ReceivedSpan]:
    """The spans; after `patience` seconds as many as there are."""
    try:
        receiver.wait(count, seconds=patience)
    except AssertionError as error:  # too few, or not to be decoded: judged with what there is
        print(f"  {error}\n")
    time.sleep(LATE)
    return list(receiver.spans)


def show(spans: Sequence[ReceivedSpan]) -> None:
    for line in (*tree.drawn(spans), "", *graphs.side_by_side(spans), ""):
        print(line)


def blame(wrong: Sequence[str], services: Services) -> None:
    print(paint("The trace is not right:", "red"))
    for line in wrong:
        print(textwrap.fill(line, WIDTH, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False))
    for service in services.names:
        print(f"\n{paint(f'log of {service}', 'bold')}\n{services.log(service)}")


def forwarded(receiver: Receiver, spans: Sequence[ReceivedSpan]) -> bool:
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
