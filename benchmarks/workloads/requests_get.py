"""requests: Session.get() of a small answer on a kept connection, from an HTTP server in another process."""

from __future__ import annotations

import os

from benchmarks.timed import Work

COUNT = 1000
NEEDS = ()
CALLS = True


def prepare(count: int) -> Work:
    import requests

    session = requests.Session()
    session.trust_env = False  # no look at proxies and .netrc, which takes longer than the request
    url = os.environ["BENCHMARK_SERVER"] + "/article/7"
    return Work(lambda: session.get(url))
