"""Propagator: which formats are read and written, in which order. The codecs know formats, carriers.py carriers."""

from __future__ import annotations

from . import b3, jaeger, mesh, w3c
from .context import DEBUG, OWS, RANDOM, SAMPLED, Remote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from .context import Get, Headers, SpanContext

__all__ = ["Propagator", "Remote"]

_READERS: dict[str, Callable[[Get], Remote | None]] = {
    "b3": b3.extract,
    "b3multi": b3.extract,  # one reader for both: the single header wins, whichever of the two is configured
    "tracecontext": w3c.extract,
    "jaeger": jaeger.extract,
}
_WRITERS: dict[str, Callable[[SpanContext, str, str, int], Headers]] = {
    "b3": b3.single,
    "b3multi": b3.multi,
    "tracecontext": w3c.trace_context,
    "jaeger": jaeger.uber_trace_id,
}
_BAGGAGE_WRITERS: dict[str, Callable[[Mapping[str, object]], Headers]] = {
    "baggage": w3c.baggage,
    "jaeger": jaeger.baggage,
}


class Propagator:
    """Reads every known format, the configured ones first; writes the configured ones. Immutable: all threads share it.

    `stale`, and all names with one of `prefixes`: lower-case names that are removed from every outgoing carrier,
    because a stale trace context makes the next hop join the wrong span. Other readable names (x-request-id, the
    setting's own headers, baggage) are the program's to send. They give way only to a header of ours with that name.
    `readable`: lower-case names to look for in a carrier. `readable_lengths`: their lengths, to skip others unseen.
    `spelled`: a readable name in its usual spelling -> lower-case name. Any other spelling takes a closer look.
    `environ_names`: a readable name as a WSGI environ spells it -> lower-case name.
    """

    __slots__ = (
        "_baggage_writers",
        "_forward",
        "_forwarded_names",
        "_readers",
        "_writers",
        "environ_names",
        "readable",
        "readable_lengths",
        "spelled",
        "stale",
    )

    prefixes = (jaeger.prefix, mesh.prefix)

    def __init__(self, names: Sequence[str], forward_extra: Sequence[str] = ()) -> None:
        order = tuple(dict.fromkeys(names))
        self._readers = tuple(dict.fromkeys(_READERS[name] for name in (*order, *_READERS) if name in _READERS))
        self._writers = tuple(_WRITERS[name] for name in order if name in _WRITERS)
        self._baggage_writers = tuple(_BAGGAGE_WRITERS[name] for name in order if name in _BAGGAGE_WRITERS)
        traces = frozenset((*b3.names, *w3c.names, *jaeger.names))
        self._forward = tuple(name for name in mesh.forwardable(forward_extra) if name not in traces)
        self._forwarded_names = frozenset(self._forward)
        self.readable = traces | self._forwarded_names
        self.stale = (traces - {"baggage"}).union(mesh.trace_names, mesh.stale_names)
        self.readable_lengths = frozenset(map(len, self.readable))
        self.spelled = {name: name for name in self.readable}
        self.spelled.update((name, name.lower()) for name in b3.canonical)
        self.environ_names = {"HTTP_" + name.upper().replace("-", "_"): name for name in self.readable}

    def extract(self, get: Get, present: Iterable[str] = (), names: Iterable[str] | None = None) -> Remote | None:
        """The remote span that a carrier names, by the first format with ids; else the first sampling decision alone.

        `present`: lower-case names in the carrier, because Jaeger's baggage is found by prefix. `names`: all names that
        `get` knows, where the caller can tell. No text makes it raise.
        """
        found: Remote | None = None
        for read in self._readers:
            remote = read(get)
            if remote is None:
                continue
            if remote.trace_id:
                found = remote
                if read is not w3c.extract:
                    _complete(remote, get)
                break
            found = found or remote
        baggage = w3c.read_baggage(get)
        if present:
            baggage = {**(jaeger.read_baggage(get, present) or {}), **(baggage or {})} or None
        none = names is not None and self._forwarded_names.isdisjoint(names)
        forwarded = () if none else mesh.extract(get, self._forward)
        if found is None:
            if not baggage and not forwarded:
                return None
            found = Remote()
        found.baggage = baggage
        found.forwarded = forwarded
        return found

    def headers(
        self,
        span: SpanContext,
        baggage: Mapping[str, object] | None = None,
        forwarded: tuple[tuple[str, str], ...] = (),
        parent: bool = True,
    ) -> Headers:
        """(name, value) of each header to add to an outgoing carrier, in canonical case; none for a span without ids.

        `parent=False` leaves the parent's id out. `forwarded` is sent as it is: it was checked when it was read.
        """
        headers: Headers = []
        trace_id = span.trace_id
        span_id = span.span_id
        if trace_id and span_id:
            trace = "%032x" % trace_id
            own = "%016x" % span_id
            parent_id = span.parent_id if parent else 0
            for write in self._writers:
                headers += write(span, trace, own, parent_id)
        if baggage:
            for write_baggage in self._baggage_writers:
                headers += write_baggage(baggage)
        if forwarded:
            headers += forwarded
        return headers


_PLAIN = ("00", "01")
"""W3C's flags that say no more than B3 does."""


def _complete(remote: Remote, get: Get) -> None:
    """Complete ids of another format by a traceparent of the same trace in the same carrier.

    Its tracestate and its random flag count. Each hop would lose them otherwise, because autotrace sends both formats.
    Its span id is taken too if a proxy has renewed the traceparent alone: see `_renewed`.
    """
    text = get("traceparent")
    if text is None:
        return
    state = get("tracestate")
    if state is None and len(text) == 55 and text[53:] in _PLAIN:
        return  # the traceparent adds nothing
    beside = w3c.extract(get)
    if beside is not None and beside.trace_id == remote.trace_id:
        remote.trace_state = beside.trace_state
        remote.flags |= beside.flags & RANDOM
        if state is not None and not state.strip(OWS):
            _renewed(remote, beside)


def _renewed(remote: Remote, beside: Remote) -> None:
    """An empty tracestate means that Envoy's opentelemetry tracer wrote the traceparent and let the other format pass.

    Programs hardly ever send an empty tracestate; this tracer always does where there is no other (docs/istio.md).
    So the sidecar's span is the parent and its decision counts, unless B3 marks the trace as debug.
    """
    remote.span_id = beside.span_id
    if not remote.flags & DEBUG:
        remote.decision = beside.decision
        remote.flags = remote.flags & ~SAMPLED | beside.flags & SAMPLED
