"""The headers that urllib3 sends: a copy, whatever mapping the program gave."""

from __future__ import annotations

import requests
from urllib3._collections import HTTPHeaderDict

from autotrace.http_client import via_urllib3


def test_urllib3_never_gets_the_program_s_own_mapping() -> None:
    """Through a tunnel urllib3 passes on the very headers of the prepared request."""
    own = requests.structures.CaseInsensitiveDict({"X-A": "1"})
    several = HTTPHeaderDict([("X-A", "1"), ("X-A", "2")])
    for headers in (own, several, {"X-A": "1"}):
        before = list(headers.items())
        copy = via_urllib3._copy(headers)
        assert list(copy.items()) == before
        copy["X-B"] = "2"
        assert list(headers.items()) == before
    assert via_urllib3._copy(None) == {}
