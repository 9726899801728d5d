"""confluent-kafka imported before autotrace is activated, in processes of their own: what is traced, what is not and is told, and that
nothing loses what it was: isinstance(), issubclass(), type(), pickles, in both directions.
"""

from __future__ import annotations

import os
import time
import types
from pathlib import Path
from textwrap import dedent
from typing import Any

import confluent_kafka
import pytest

from autotrace import late_classes
from autotrace.late_classes import Aside, take_places
from autotrace.patching import Plan, Unpatchable
from autotrace.patching.subclasses import subclass
from tests.programs import ROOT, Done, bare, python

CLASSES = [name for name in ("Producer", "Consumer", "ShareConsumer") if hasattr(confluent_kafka, name)]

ACTIVATE = """
from autotrace import activation, registry
activation.activate()
"""
TOLD = "autotrace: confluent_kafka was imported before autotrace was activated: it is traced from now on"


@pytest.fixture(scope="module")
def broker(request: pytest.FixtureRequest) -> str:
    given = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    return given or request.getfixturevalue("kafka").bootstrap_servers


@pytest.fixture
def topic() -> str:
    return f"late-{os.getpid()}-{time.time_ns()}"


def run(before: str, after: str = "", activate: str = ACTIVATE, **environment: str) -> Done:
    """`before`, activate(), `after`: one program. It ends well."""
    program = "\n".join((dedent(before), activate, dedent(after)))
    done = bare(*python(program), **{"AUTOTRACE_EXPORTER": "none", "PYTHONPATH": str(ROOT), **environment})
    assert done.returncode == 0, done.stderr
    return done


STORY = """
from opentelemetry import trace

def current():
    return trace.get_current_span().get_span_context().is_valid

def story(Producer, Consumer, servers, topic):
    '''send one, take it; is it current in the body?'''
    producer = Producer({"bootstrap.servers": servers})
    producer.produce(topic, value=b"v")
    assert producer.flush(30) == 0
    consumer = Consumer({"bootstrap.servers": servers, "group.id": topic})
    consumer.assign([confluent_kafka.TopicPartition(topic, 0, 0)])
    message = None
    while message is None or message.error() is not None:
        message = consumer.poll(1)
    found = current()
    consumer.close()
    assert not current()
    return found, bool(message.headers())
"""


class TestTraced:
    """Whatever way a program came by the classes."""

    @pytest.mark.parametrize(
        ("before", "kinds"),
        [
            ("import confluent_kafka", "confluent_kafka.Producer, confluent_kafka.Consumer"),
            ("import confluent_kafka\nfrom confluent_kafka import Producer as P, Consumer as C", "P, C"),
            ("import confluent_kafka.cimpl as c", "c.Producer, c.Consumer"),
            ("import confluent_kafka as c", "c.SerializingProducer, c.DeserializingConsumer"),
            (
                """
                from confluent_kafka import Consumer, Producer
                class MyProducer(Producer):
                    def produce(self, topic, value):
                        super().produce(topic, value)
                class MyConsumer(Consumer):
                    def __init__(self, config):
                        super(MyConsumer, self).__init__(config)
                    def poll(self, timeout):
                        return Consumer.poll(self, timeout)
                class Theirs(MyConsumer):
                    pass
                """,
                "MyProducer, Theirs",
            ),
            (
                """
                import abc
                from confluent_kafka import Consumer, Producer, DeserializingConsumer
                class MyProducer(Producer, metaclass=abc.ABCMeta):
                    __slots__ = ("mine",)
                class Mixin:
                    def poll(self, *args):
                        return super().poll(*args)
                class MyConsumer(Mixin, DeserializingConsumer):
                    __slots__ = ("mine",)
                """,
                "MyProducer, MyConsumer",
            ),
        ],
        ids=["module", "names", "cimpl", "serializing", "derived", "derived otherwise"],
    )
    def test_what_is_made_after_activation(self, broker: str, topic: str, before: str, kinds: str) -> None:
        done = run(
            before,
            f"import confluent_kafka\n{STORY}\nprint(story({kinds}, {broker!r}, {topic!r}))",
            AUTOTRACE_EXPORTER="console",
        )
        assert done.stdout.split("\n")[0] == "(True, True)"
        assert done.stderr.count(f"send {topic}") == 1
        assert done.stderr.count(f"process {topic}") == 1
        assert done.stderr.count(TOLD) == 1

    def test_names_in_a_users_module(self, broker: str, topic: str, tmp_path: Path) -> None:
        (tmp_path / "shop.py").write_text(
            "from confluent_kafka import Producer, Consumer\n"
            "def make(kind, **config):\n    return globals()[kind](config)\n"
            "def producer(config):\n    return Producer(config)\n"
            "def consumer(config):\n    return Consumer(config)\n"
        )
        done = run(
            "import shop",
            f"import confluent_kafka\n{STORY}\nprint(story(shop.producer, shop.consumer, {broker!r}, {topic!r}))",
            PYTHONPATH=os.pathsep.join((str(ROOT), str(tmp_path))),
        )
        assert done.stdout == "(True, True)\n"

    def test_aio(self, broker: str, topic: str) -> None:
        pytest.importorskip("confluent_kafka.aio")
        done = run(
            """
            import asyncio, confluent_kafka
            from confluent_kafka.aio import AIOConsumer, AIOProducer
            class Mine(AIOConsumer):
                pass
            """,
            f"""
            from opentelemetry import trace
            async def main():
                producer = AIOProducer({{"bootstrap.servers": {broker!r}}}, batch_size=1)
                await (await producer.produce({topic!r}, b"v"))
                await producer.close()
                consumer = Mine({{"bootstrap.servers": {broker!r}, "group.id": "g"}})
                await consumer.assign([confluent_kafka.TopicPartition({topic!r}, 0, 0)])
                message = None
                while message is None or message.error() is not None:
                    message = await consumer.poll(1)
                print(trace.get_current_span().get_span_context().is_valid)
                await consumer.close()
            asyncio.run(main())
            """,
            AUTOTRACE_EXPORTER="console",
        )
        assert done.stdout.startswith("True\n")
        assert done.stderr.count(f"send {topic}") == done.stderr.count(f"process {topic}") == 1

    def test_the_message_ends_when_the_consumer_is_collected(self, broker: str, topic: str) -> None:
        """It has no place for what we keep, which lies beside it and goes with it."""
        done = run(
            "import confluent_kafka\nfrom confluent_kafka import Consumer, Producer",
            f"""
            from opentelemetry import trace
            producer = Producer({{"bootstrap.servers": {broker!r}}})
            for _ in range(3):
                producer.produce({topic!r}, b"v")
            producer.flush(30)
            def take():
                consumer = Consumer({{"bootstrap.servers": {broker!r}, "group.id": "g"}})
                consumer.assign([confluent_kafka.TopicPartition({topic!r}, 0, 0)])
                while consumer.poll(1) is None:
                    pass
                return trace.get_current_span().get_span_context().is_valid
            print(take(), trace.get_current_span().get_span_context().is_valid)
            print(len(vars(Consumer)["_autotrace"].kept), len(vars(Producer)["_autotrace"].kept))
            producer.produce({topic!r}, b"v")
            del producer
            print(len(vars(Producer)["_autotrace"].kept))
            """,
        )
        assert done.stdout.splitlines() == ["True False", "0 1", "0"]


class TestNothingIsLost:
    def test_isinstance_and_issubclass_in_both_directions(self) -> None:
        """What was true before is true after, for classes and objects from before and from after."""
        run(
            """
            import confluent_kafka as c
            from confluent_kafka import Consumer, Producer
            class Mine(Consumer):
                pass
            config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
            old = [Mine(config), c.DeserializingConsumer(config)]
            library = Consumer.__mro__[0]
            bases = [Mine.__bases__, c.DeserializingConsumer.__bases__]
            """,
            """
            assert Consumer is c.Consumer is c.cimpl.Consumer is not None
            assert type(Consumer) is type
            new = [Consumer(config), Mine(config), c.DeserializingConsumer(config)]
            for made in old + new:
                assert isinstance(made, Consumer) and isinstance(made, c.cimpl.Consumer)
                assert isinstance(made, library[0] if isinstance(library, list) else Consumer.__mro__[1])
                assert not isinstance(made, Producer)
            assert [type(made) for made in old] == [Mine, c.DeserializingConsumer]
            assert type(new[0]) is Consumer
            assert issubclass(Mine, Consumer) and issubclass(c.DeserializingConsumer, Consumer)
            assert Mine in Consumer.__subclasses__()
            assert Mine.__bases__ == (Consumer,) and Mine.__base__ is Consumer
            assert c.DeserializingConsumer.__bases__[0] is Consumer
            class Later(Mine):
                pass
            assert isinstance(Later(config), Consumer)
            """,
        )

    def test_classes_and_messages_are_pickled_as_before(self) -> None:
        done = run(
            """
            import pickle, confluent_kafka as c
            class Mine(c.Consumer):
                pass
            def attempt(thing):
                try:
                    return pickle.dumps(thing)
                except Exception as error:
                    return type(error)
            def all():
                return [attempt(thing) for thing in (c.Producer, c.Consumer, Mine, c.SerializingProducer, c.Message())]
            before = all()
            """,
            """
            assert all() == before, (all(), before)
            assert pickle.loads(pickle.dumps(Mine)) is Mine
            config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
            for kind in (c.Consumer, Mine):
                made = kind(config)
                assert attempt(made) is TypeError
                assert "_autotrace" not in getattr(made, "__dict__", {})
            print("fine")
            """,
        )
        assert done.stdout == "fine\n"

    @pytest.mark.parametrize("name", CLASSES)
    def test_a_class_shows_itself_as_the_librarys(self, name: str) -> None:
        run(
            f"""
            import inspect, confluent_kafka as c
            def look(kind):
                names = set(dir(kind)) - {{"__del__", "_autotrace", "__slots__", "__module__"}}
                return names, repr(kind), kind.__module__, kind.__qualname__, kind.__doc__, type(kind), kind.poll.__doc__
            before = look(c.{name})
            """,
            f"assert look(c.{name}) == before",
        )

    def test_a_program_that_looks_its_objects_up_again(self) -> None:
        """Objects of the program's own classes from before go on, untraced; those of `__getattr__` too."""
        done = run(
            """
            import confluent_kafka as c
            class Wrapping(c.Consumer):
                def __getattr__(self, name):
                    return getattr(self.inner, name)
            config = {"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}
            old = Wrapping(config)
            sending = c.SerializingProducer({"bootstrap.servers": "127.0.0.1:1", "log_level": 0,
                                             "on_delivery": lambda *_: print("told"), "message.timeout.ms": 100})
            """,
            """
            print(old.poll(0), old.consume(1, 0), old.unsubscribe())
            old.close()
            sending.produce("t", value="v")
            sending.flush(20)
            del old, sending
            """,
        )
        assert done.stdout.splitlines() == ["None [] None", "told"]
        assert "internal error" not in done.stderr

    def test_a_library_without_heirs_in_modules_is_not_loaded_for_it(self, tmp_path: Path) -> None:
        """Looking for names wakes no module that is loaded lazily."""
        (tmp_path / "lazy.py").write_text("print('awake')\n")
        done = run(
            """
            import importlib.util, sys, confluent_kafka
            spec = importlib.util.find_spec("lazy")
            spec.loader = importlib.util.LazyLoader(spec.loader)
            sys.modules["lazy"] = module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            sys.modules["odd"] = object()
            sys.modules["gone"] = None
            """,
            "print(registry.states['confluent_kafka', 'confluent_kafka.cimpl'])",
            PYTHONPATH=os.pathsep.join((str(ROOT), str(tmp_path))),
        )
        assert done.stdout == "on\n"


class TestLeftAlone:
    @pytest.mark.parametrize("kind", ["Producer", "Consumer"])
    def test_where_a_client_of_the_librarys_own_class_lives(self, kind: str) -> None:
        """It could be no instance of what the name means then: isinstance() would fail for an object that exists."""
        done = run(
            f"""
            import confluent_kafka as c
            from confluent_kafka import Producer
            import confluent_kafka.{"aio" if hasattr(confluent_kafka, "aio") else "admin"}
            client = c.{kind}({{"bootstrap.servers": "127.0.0.1:1", "group.id": "g", "log_level": 0}})
            def look():  # their ids: a tuple of the classes would keep autotrace away by itself
                heirs = c.SerializingProducer, c.DeserializingConsumer
                return [id(c.Producer), id(c.Consumer), *(id(base) for heir in heirs for base in heir.__bases__)]
            before = look()
            """,
            f"""
            assert look() == before
            assert isinstance(client, c.{kind}) and Producer is c.Producer
            for (library, module), state in registry.states.items():
                if library.startswith("confluent") and module in __import__("sys").modules:
                    print(state)
            """,
        )
        states = done.stdout.splitlines()
        reason = f"a {kind} was made before autotrace was activated"
        assert states[0] == f"refused: {reason}"
        assert all(state.startswith("refused: ") for state in states)
        assert done.stderr == f"autotrace: confluent_kafka is left alone: {reason}\n"

    def test_where_the_program_keeps_a_class_to_make_objects_of_it(self) -> None:
        """What it makes would be no instance of what the name means then."""
        done = run(
            """
            import confluent_kafka
            from confluent_kafka import Consumer
            class App:
                kind = Consumer
            before = id(Consumer)
            """,
            "assert id(Consumer) == id(confluent_kafka.cimpl.Consumer) == before",
        )
        assert done.stderr.startswith("autotrace: confluent_kafka is left alone: __main__.App had Consumer ")
        assert done.stderr.count("\n") == 1

    def test_but_not_where_it_is_annotated_or_derived_from(self) -> None:
        """Typed programs are not refused: an object of ours is one of what stands there."""
        done = run(
            """
            import confluent_kafka, typing
            from confluent_kafka import Consumer
            one: Consumer
            Maybe = typing.Optional[Consumer]
            class App:
                consumer: Consumer
                def work(self, consumer: Consumer, other: typing.Optional[Consumer] = None) -> Consumer:
                    return consumer
            class Typed(Consumer, typing.Generic[typing.TypeVar("T")]):
                pass
            App.work.__annotations__
            before = id(Consumer)
            """,
            """
            assert id(Consumer) != before and issubclass(Consumer, App.work.__annotations__["return"])
            assert isinstance(Consumer({"group.id": "g", "log_level": 0}), typing.get_type_hints(App.work)["consumer"])
            assert issubclass(Typed[int].__origin__, Consumer)
            """,
        )
        assert done.stderr.startswith(TOLD)

    def test_what_is_kept_where_nobody_looks_works_untraced(self, broker: str, topic: str) -> None:
        """The limit that the line on stderr tells of."""
        done = run(
            "import confluent_kafka\nclass App:\n    def __init__(self):\n"
            "        self.kept = confluent_kafka.Producer, confluent_kafka.Consumer\napp = App()",
            f"{STORY}\nprint(story(*app.kept, {broker!r}, {topic!r}))",
            AUTOTRACE_EXPORTER="console",
        )
        assert done.stdout == "(False, False)\n"
        assert "made of a class kept elsewhere than under a module's name" in done.stderr
        assert topic not in done.stderr

    def test_where_a_metaclass_refuses_nothing_is_changed(self) -> None:
        done = run(
            """
            import confluent_kafka as c
            class Meta(type):
                def mro(cls):
                    found = type.mro(cls)
                    if len(found) > 3:
                        raise LookupError("no")
                    return found
            class First(c.Producer):
                pass
            class Odd(c.Consumer, metaclass=Meta):
                pass
            def look():
                heirs = First, Odd, c.SerializingProducer, c.DeserializingConsumer
                return [c.Producer.__mro__, c.Consumer.__mro__, *((kind.__bases__, kind.__mro__) for kind in heirs)]
            before = look()
            """,
            """
            assert look() == before, look()
            print(registry.states["confluent_kafka", "confluent_kafka.cimpl"])
            """,
        )
        assert done.stdout.startswith("refused: ")
        assert TOLD not in done.stderr
        assert "is left alone: no" in done.stderr

    @pytest.mark.parametrize("step", ["_keeper", "_kept", "_names", "_Heirs.__init__", "_rebase", "Aside.finalizer"])
    def test_a_failure_of_ours_changes_nothing(self, step: str) -> None:
        done = run(
            f"""
            import confluent_kafka as c
            def look():
                heirs = c.SerializingProducer, c.DeserializingConsumer
                return [c.Producer.__mro__, c.Consumer.__mro__, *(kind.__mro__ for kind in heirs)]
            before = look()
            from autotrace import late_classes
            def fails(*_):
                raise RuntimeError("a defect of ours")
            late_classes.{step} = fails
            """,
            """
            assert look() == before, look()
            print(registry.states["confluent_kafka", "confluent_kafka.cimpl"])
            """,
        )
        assert done.stdout.startswith(("refused: ", "failed: "))
        assert done.stderr.count("\n") >= 1

    def test_after_a_disabled_patch_nothing_is_said(self) -> None:
        done = run(
            "import confluent_kafka as c\nbefore = id(c.Producer)",
            "assert id(c.Producer) == before",
            AUTOTRACE_DISABLED_PATCHES="confluent_kafka",
        )
        assert done.stderr == ""


class Kind:
    """A library's class, for what needs no C type."""

    def work(self) -> str:
        return "theirs"


class TestPlaces:
    def fresh(self) -> Any:
        return type("Kind", (Kind,), {"__slots__": (), "__module__": __name__})

    def ours(self, kind: Any) -> Any:
        return subclass(kind, {"work": lambda original: lambda self: "ours"})

    def test_it_is_undone_at_will(self) -> None:
        kind = self.fresh()
        heir = type("Heir", (kind,), {})
        thing = heir()
        plan = Plan()
        take_places({kind: self.ours(kind)}, plan, "library")
        assert heir.__bases__ == (kind,)
        plan.apply()
        assert thing.work() == "ours"
        later = type("Later", heir.__bases__, {})
        plan.undo()
        assert heir.__bases__ == later.__bases__ == (kind,)
        assert thing.work() == later().work() == "theirs"

    def test_an_heir_that_cannot_be_moved_leaves_all_where_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        kind = self.fresh()
        heirs = [type(name, (kind,), {}) for name in ("A", "B")]
        rebase = late_classes._rebase

        def second_fails(heir: Any, bases: Any) -> None:
            if heir.__name__ == "B":
                raise TypeError("no")
            rebase(heir, bases)

        monkeypatch.setattr(late_classes, "_rebase", second_fails)
        plan = Plan()
        take_places({kind: self.ours(kind)}, plan, "library")
        with pytest.raises(Unpatchable, match="no"):
            plan.apply()
        assert [heir.__bases__ for heir in heirs] == [(kind,), (kind,)]

    def test_an_object_of_the_class_itself_keeps_it_from_happening(self) -> None:
        kind = self.fresh()
        thing = kind()
        with pytest.raises(Unpatchable, match="a Kind was made"):
            take_places({kind: self.ours(kind)}, Plan(), "library")
        assert thing.work() == "theirs"

    @pytest.mark.parametrize(
        ("kept", "told"),
        [
            ("class App:\n    kind = Kind", "shop.App had Kind"),
            ("def make(kind=Kind):\n    pass", "shop.make had Kind"),
            ("def make(*, kind=Kind):\n    pass", "shop.make had Kind"),
            ("import functools\nmake = functools.partial(Kind, 1)", "a functools.partial had Kind"),
            ("import functools\nmake = functools.partial(print, Kind)", "a functools.partial had Kind"),
            ("KINDS = {'kind': Kind}", "shop had Kind"),
            ("KINDS = {Kind: 'kind'}", "shop had Kind"),
            ("KINDS = [Kind, 5]", "shop had Kind"),
            ("KINDS = (Kind,)", "shop had Kind"),
            ("KINDS = frozenset({Kind})", "shop had Kind"),
            ("one: Kind\ndef make(kind: Kind) -> Kind:\n    pass\nmake.__annotations__", None),
            (
                "import typing\nMaybe = typing.Optional[Kind]\nclass Heir(Kind, typing.Generic[typing.TypeVar('T')]): pass",
                None,
            ),
            ("Alias = Kind", None),
        ],
    )
    def test_who_keeps_a_class_to_make_objects_of_it(self, kept: str, told: str | None) -> None:
        """Annotations do not, nor does who derives from it."""
        kind = self.fresh()
        shop: Any = types.ModuleType("shop")
        shop.Kind = kind
        exec(kept, vars(shop))
        found = late_classes._keeper({kind: self.ours(kind)})
        assert found == (told and f"{told} (an attribute, an argument, a container's content)")

    def test_what_lies_aside_goes_with_its_object(self) -> None:
        aside = Aside()
        kind: Any = type("Kind", (), {"__slots__": (), "own": aside, "__del__": aside.finalizer()})
        one, two = kind(), kind()
        assert one.own is None
        one.own, two.own = 1, 2
        assert (one.own, two.own) == (1, 2)
        del one.own
        assert one.own is None
        del one, two
        assert aside.kept == {}
        assert kind.own is aside
