"""FastStream: a handler works in its record's trace, even if a queue or another thread (confluent) lies between.

Limit: a handler of a batch works in none of its records' traces; `with autotrace.carry(record):` reactivates one.
"""

from __future__ import annotations

from typing import Any

from autotrace.messaging.carry import carry
from autotrace.patching import Plan, require


def subscribers(module: Any, plan: Plan) -> None:
    # consume(): each message that a subscriber of any kind handles, as the client gave it. No span: the record has one.
    plan.method(require(module, "SubscriberUsecase"), "consume", _consume, parameters=("msg",))


def _consume(original: Any) -> Any:
    async def consume(self: Any, msg: Any) -> Any:
        with carry(msg):  # does nothing for a record that it does not know
            return await original(self, msg)

    return consume
