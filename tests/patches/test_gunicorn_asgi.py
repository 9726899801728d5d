"""gunicorn's asgi worker, which gunicorn 23 does not have. What it serves: end_to_end/test_prefork.py."""

from __future__ import annotations

import types

from gunicorn.asgi.protocol import ASGIProtocol
from gunicorn.config import Config
from gunicorn.glogging import Logger

from tests.http_server import asgi_story


def test_the_asgi_worker_keeps_the_program_s_application() -> None:
    """Hooks of gunicorn's configuration read it there."""
    worker = types.SimpleNamespace(cfg=Config(), log=Logger(Config()), asgi=asgi_story.bare)
    protocol = ASGIProtocol(worker)
    assert worker.asgi is asgi_story.bare
    assert protocol.app.__self__ is asgi_story.bare
