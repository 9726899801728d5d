"""Each HTTP client as a function that sends a GET with the program's headers and reads the body."""

from __future__ import annotations

import asyncio
import http.client
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import closing

import aiohttp
import httpx
import requests
import urllib3


def _requests(url: str, headers: Mapping[str, str]) -> int:
    with requests.Session() as session:
        session.trust_env = False
        return session.get(url, headers=headers).status_code


def _urllib3(url: str, headers: Mapping[str, str]) -> int:
    with urllib3.PoolManager() as pool:
        return pool.request("GET", url, headers=headers, retries=False).status


def _httpx(url: str, headers: Mapping[str, str]) -> int:
    with httpx.Client(trust_env=False, verify=False) as client:
        return client.get(url, headers=headers).status_code


def _httpx_async(url: str, headers: Mapping[str, str]) -> int:
    async def story() -> int:
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            return (await client.get(url, headers=headers)).status_code

    return asyncio.run(story())


def _aiohttp(url: str, headers: Mapping[str, str]) -> int:
    async def story() -> int:
        async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
            await response.read()
            return response.status

    return asyncio.run(story())


def _http_client(url: str, headers: Mapping[str, str]) -> int:
    _, _, host, target = url.split("/", 3)
    with closing(http.client.HTTPConnection(host)) as connection:
        connection.request("GET", f"/{target}", headers=headers)
        with connection.getresponse() as response:
            response.read()
            return response.status


def _urllib(url: str, headers: Mapping[str, str]) -> int:
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers))) as response:
        response.read()
        return int(response.status)


CLIENTS: dict[str, Callable[[str, Mapping[str, str]], int]] = {
    "requests": _requests,
    "urllib3": _urllib3,
    "httpx": _httpx,
    "httpx, async": _httpx_async,
    "aiohttp": _aiohttp,
    "http.client": _http_client,
    "urllib.request": _urllib,
}
