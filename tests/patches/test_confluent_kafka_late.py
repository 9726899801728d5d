"""confluent-kafka imported before autotrace is activated is left alone, and one line says why."""

from __future__ import annotations

from textwrap import dedent

from tests.programs import ROOT, Done, bare, python

REASON = "it was imported before autotrace was activated; activate autotrace first, or use autotrace-run"
IMPORTED = """
import importlib, sys
from importlib.util import find_spec
import confluent_kafka as c
from confluent_kafka import Producer
for name in ("aio", "deserializing_share_consumer"):  # since 2.12 and 2.16
    if find_spec(f"confluent_kafka.{name}"):
        importlib.import_module(f"confluent_kafka.{name}")
client = Producer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0})
class Mine(Producer):
    pass
def look():
    heirs = c.SerializingProducer, c.DeserializingConsumer, Mine
    methods = [method for kind in (c.Producer, c.Consumer) for method in vars(kind).values()]
    return [c.Producer, c.Consumer, *(base for heir in heirs for base in heir.__bases__), *methods]
before = look()
from autotrace import activation, registry
activation.activate()
assert look() == before
"""


def run(program: str, **environment: str) -> Done:
    """It ends well."""
    done = bare(*python(program), **{"AUTOTRACE_EXPORTER": "none", "PYTHONPATH": str(ROOT), **environment})
    assert done.returncode == 0, done.stderr
    return done


def test_it_is_refused_with_the_reason_and_the_program_keeps_its_classes() -> None:
    done = run(
        IMPORTED
        + dedent(
            """
            assert isinstance(client, c.Producer) and issubclass(Mine, c.Producer) and Producer is c.Producer
            for (library, module), state in registry.states.items():
                if library.startswith("confluent") and module in sys.modules:
                    print(state)
            """
        )
    )
    reason, *others = done.stdout.splitlines()
    assert reason == f"refused: {REASON}"
    assert all(other.startswith("refused: ") and other.endswith("is not patched") for other in others)
    assert done.stderr == f"autotrace: confluent_kafka is not traced: {REASON}\n"


def test_after_a_disabled_patch_nothing_is_said() -> None:
    assert run(IMPORTED, AUTOTRACE_DISABLED_PATCHES="confluent_kafka").stderr == ""
