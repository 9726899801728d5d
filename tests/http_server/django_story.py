"""The paths of contracts/async_http_server.py in Django, synchronous and asynchronous views. No websockets."""

from __future__ import annotations

from typing import Any

import django
from django.conf import settings

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        DEBUG=False,
        INSTALLED_APPS=[],
        LOGGING_CONFIG=None,
        MIDDLEWARE=["tests.http_server.django_story.handing_on"],
        ROOT_URLCONF="tests.http_server.django_story",
        SECRET_KEY="story",
        USE_TZ=True,
    )
    django.setup()

import requests
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import include, path, re_path

from tests.http_server import asgi_story, wsgi_story


def handing_on(get_response: Any) -> Any:
    def middleware(request: HttpRequest) -> Any:
        return get_response(request)

    return middleware


def hello(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(wsgi_story.hello(name))


async def hello_async(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(await asgi_story.hello(name))


async def slow(request: HttpRequest, name: str) -> HttpResponse:
    return HttpResponse(await asgi_story.slow(name))


def failing(request: HttpRequest) -> HttpResponse:
    return HttpResponse(wsgi_story.boom())


def boom_in_the_body(request: HttpRequest) -> StreamingHttpResponse:
    def parts() -> Any:
        yield b"a"
        wsgi_story.boom()

    return StreamingHttpResponse(parts())


def call(request: HttpRequest) -> HttpResponse:
    return HttpResponse(requests.get(request.GET["url"], timeout=5).text)


def missing(request: HttpRequest, number: str) -> HttpResponse:
    raise Http404


SHARED = [
    path("boom", failing),
    path("teapot", lambda request: HttpResponse("tea", status=418)),
    path("call", call),
    path("file", lambda request: FileResponse(open(__file__, "rb"))),  # noqa: SIM115 - Django closes it
    path("late", boom_in_the_body),
    re_path(r"^old/", include([re_path(r"^(?P<number>[^/]+)/$", missing)])),
]
urlpatterns = [
    path("hello/<name>", hello),
    path("stream", lambda request: StreamingHttpResponse(wsgi_story.parts())),
    path("endless", lambda request: StreamingHttpResponse(wsgi_story.endless())),
    path("async/endless", lambda request: StreamingHttpResponse(asgi_story.endless())),
    path("async/hello/<name>", hello_async),
    path("async/slow/<name>", slow),
    path("async/stream", lambda request: StreamingHttpResponse(asgi_story.parts())),
    *SHARED,
]


def wsgi() -> WSGIHandler:
    return WSGIHandler()


def asgi() -> ASGIHandler:
    return ASGIHandler()
