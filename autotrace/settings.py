"""TABLE: every environment variable that autotrace knows, one row a setting. The only reader of os.environ."""

from __future__ import annotations

import os

from autotrace.setting_aliases import (
    jaeger_propagation,
    jaeger_sampler,
    otel_exporter,
    otel_propagators,
    otel_resource_service,
)
from autotrace.setting_types import Setting, choice, flag, inverted, names, number, pairs, ratio, seconds, text, whole

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

EXPORTERS = {
    "jaeger": "autotrace.export.jaeger.exporter",
    "jaeger_thrift": "autotrace.export.otel.jaeger_thrift",
    "console": "autotrace.export.console",
    "none": "",
}
"""Name -> the module whose make(settings) returns the exporter: export(spans, resource, deadline), close()."""
FORMATS = ("b3multi", "b3", "tracecontext", "baggage", "jaeger")
SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "ratelimiting",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
    "parentbased_ratelimiting",
)
SECRETS = (
    "sig,signature,token,access_token,refresh_token,id_token,auth,password,passwd,pwd,secret,client_secret,key,api_key,apikey,"
    "X-Goog-Signature,X-Amz-Signature,X-Amz-Credential,X-Amz-Security-Token,AWSAccessKeyId"
)


# fmt: off
TABLE = (
    Setting("enabled", ("AUTOTRACE_ENABLED", ("OTEL_SDK_DISABLED", inverted), ("JAEGER_DISABLED", inverted)), flag, "true",
            "`false`: the agent returns before it imports anything"),
    Setting("service_name", ("AUTOTRACE_SERVICE_NAME", "OTEL_SERVICE_NAME", ("OTEL_RESOURCE_ATTRIBUTES", otel_resource_service), "JAEGER_SERVICE_NAME"), text, "",
            "name of the service; unset: the program's name"),
    Setting("namespace", ("AUTOTRACE_NAMESPACE", "POD_NAMESPACE"), text, "",
            "appended to an unset service name (`<program>.<namespace>`), as Kiali expects; unset: read from the Kubernetes service account"),
    Setting("tags", ("AUTOTRACE_TAGS", "OTEL_RESOURCE_ATTRIBUTES", "JAEGER_TAGS"), pairs, "",
            "`key=value,…` added to the process (resource)"),
    Setting("exporter", ("AUTOTRACE_EXPORTER", ("OTEL_TRACES_EXPORTER", otel_exporter(*EXPORTERS))), choice(*EXPORTERS), "jaeger",
            "`jaeger`, `console` (a tree on stderr), `jaeger_thrift` (OpenTelemetry's exporter package), `none`"),
    Setting("endpoint", ("AUTOTRACE_ENDPOINT", "JAEGER_ENDPOINT"), text, "",
            "where spans go: `http://host:14268/api/traces` or `udp://host:6831`; unset: the agent below if its host is set, else `http://localhost:14268/api/traces`"),
    Setting("agent_host", ("AUTOTRACE_AGENT_HOST", "JAEGER_AGENT_HOST"), text, "",
            "host of a Jaeger agent that takes UDP"),
    Setting("agent_port", ("AUTOTRACE_AGENT_PORT", "JAEGER_AGENT_PORT"), whole(1, 65535), "6831",
            "its port (compact thrift; 6832 is sent binary thrift)"),
    Setting("sampler", ("AUTOTRACE_SAMPLER", "OTEL_TRACES_SAMPLER", ("JAEGER_SAMPLER_TYPE", jaeger_sampler)), choice(*SAMPLERS), "parentbased_always_on",
            "`always_on`, `always_off`, `traceidratio`, `ratelimiting`, each also with `parentbased_` in front: the caller's decision counts first"),
    Setting("sampler_arg", ("AUTOTRACE_SAMPLER_ARG", "OTEL_TRACES_SAMPLER_ARG", "JAEGER_SAMPLER_PARAM"), number(0), "1",
            "the ratio (0 to 1), or traces per second for `ratelimiting`"),
    Setting("propagators", ("AUTOTRACE_PROPAGATORS", ("OTEL_PROPAGATORS", otel_propagators(*FORMATS)), ("JAEGER_PROPAGATION", jaeger_propagation)), names(*FORMATS), "b3multi,tracecontext,baggage",
            "formats written, and read first: `b3multi`, `b3`, `tracecontext`, `baggage`, `jaeger`; every known one is read"),
    Setting("propagation_targets", ("AUTOTRACE_PROPAGATION_TARGETS",), names(), "",
            "host patterns (`*.svc.cluster.local,billing`) that get trace headers; unset: all hosts"),
    Setting("excluded_urls", ("AUTOTRACE_EXCLUDED_URLS",), names(), "",
            "URLs that are not traced, as globs: `/health*` (a path, called or served), `http://consul:8500/*` (a URL without its query)"),
    Setting("forward_headers", ("AUTOTRACE_FORWARD_HEADERS",), names(), "",
            "more request headers to pass on byte for byte, beside the mesh's own (`x-request-id`, …)"),
    Setting("trace_id_128", ("AUTOTRACE_TRACEID_128BIT", "JAEGER_TRACEID_128BIT"), flag, "true",
            "`false`: new traces get 64-bit ids"),
    Setting("conventions", ("AUTOTRACE_CONVENTIONS",), choice("both", "opentracing", "otel"), "both",
            "names of tags: OpenTracing's (Jaeger, Kiali), OpenTelemetry's, or both"),
    Setting("consumer_relation", ("AUTOTRACE_CONSUMER_RELATION",), choice("follows_from", "child_of", "link"), "follows_from",
            "how a consumer's span refers to its producer's; `link` starts a new trace"),
    Setting("kafka_excluded_topics", ("AUTOTRACE_KAFKA_EXCLUDED_TOPICS",), names(), "",
            "topic patterns (`*.internal,audit`) that are left alone: no spans, no headers"),
    Setting("kafka_commits", ("AUTOTRACE_KAFKA_COMMITS",), flag, "false",
            "`true`: a span for each commit that waits for the broker"),
    Setting("disabled_patches", ("AUTOTRACE_DISABLED_PATCHES",), names(), "",
            "libraries to leave alone: `kafka,requests`; `autotrace check` lists the names"),
    Setting("peer_names", ("AUTOTRACE_PEER_NAMES",), pairs, "",
            "`host=name,…`: the name to show for a remote host (`peer.service`, `peer.hostname`)"),
    Setting("statement_limit", ("AUTOTRACE_STATEMENT_LIMIT",), whole(0, 1 << 20), "2048",
            "characters of an SQL statement that are kept"),
    Setting("mask_statements", ("AUTOTRACE_MASK_STATEMENTS",), flag, "true",
            "`false`: literals in SQL statements are kept"),
    Setting("trace_connects", ("AUTOTRACE_TRACE_CONNECTS",), flag, "false",
            "`true`: a span for each connect to a database that succeeds; one that fails always has one"),
    Setting("trace_transactions", ("AUTOTRACE_TRACE_TRANSACTIONS",), flag, "false",
            "`true`: spans for commits and rollbacks that the program makes by calls"),
    Setting("sql_comments", ("AUTOTRACE_SQL_COMMENTS",), choice("off", "static", "full"), "off",
            "a comment behind each statement, for the database's own logs (sqlcommenter): `static` says who asks, `full` adds the span"),
    Setting("dbapi", ("AUTOTRACE_DBAPI",), names(), "",
            "database drivers without a patch of their own (`mydriver,other.module`), traced by what PEP 249 says of them"),
    Setting("secret_parameters", ("AUTOTRACE_SECRET_PARAMETERS",), names(), SECRETS,
            "query parameters whose values are redacted in URLs"),
    Setting("queue_size", ("AUTOTRACE_QUEUE_SIZE", "OTEL_BSP_MAX_QUEUE_SIZE"), whole(1, 1 << 24), "10000",
            "spans waiting for export; when full, new ones are dropped and counted"),
    Setting("flush_seconds", ("AUTOTRACE_FLUSH_SECONDS",), seconds, "1",
            "how often spans are sent"),
    Setting("exit_seconds", ("AUTOTRACE_EXIT_SECONDS",), seconds, "1",
            "the most that the program's exit waits for the last spans"),
    Setting("log", ("AUTOTRACE_LOG",), choice("warning", "debug", "off"), "warning",
            "what autotrace says on stderr: `warning`, `debug` (with tracebacks of its own failures), `off`"),
)
# fmt: on

RUN_PID = "AUTOTRACE_RUN_PID"
"""No setting: `autotrace-run` leaves this note to the process that it becomes."""


class Settings:
    """The value of each row of TABLE, as an attribute. A bad value leaves a line in `problems`, and the next source counts.

    `chosen`: attribute -> the variable that it was read from, if it is not the default.
    """

    enabled: bool
    service_name: str
    namespace: str
    tags: dict[str, str]
    exporter: str
    endpoint: str
    agent_host: str
    agent_port: int
    sampler: str
    sampler_arg: float
    propagators: tuple[str, ...]
    propagation_targets: tuple[str, ...]
    excluded_urls: tuple[str, ...]
    forward_headers: tuple[str, ...]
    trace_id_128: bool
    conventions: str
    consumer_relation: str
    kafka_excluded_topics: tuple[str, ...]
    kafka_commits: bool
    disabled_patches: tuple[str, ...]
    peer_names: dict[str, str]
    statement_limit: int
    mask_statements: bool
    trace_connects: bool
    trace_transactions: bool
    sql_comments: str
    dbapi: tuple[str, ...]
    secret_parameters: tuple[str, ...]
    queue_size: int
    flush_seconds: float
    exit_seconds: float
    log: str

    def __init__(self, environ: Mapping[str, str] | None = None) -> None:
        environ = os.environ if environ is None else environ
        self.problems: list[str] = []
        self.chosen: dict[str, str] = {}
        for row in TABLE:
            setattr(self, row.attribute, self._value(row, environ))
        self._unknown_names(environ)
        if self.sampler.endswith("traceidratio"):
            self._ratio()

    def _value(self, row: Setting, environ: Mapping[str, str]) -> object:
        for source in row.sources:
            name, translate = (source, None) if isinstance(source, str) else source
            raw = environ.get(name, "").strip()
            if not raw:
                continue
            try:
                given = raw if translate is None else translate(raw)
                if given is None:
                    continue
                value = row.kind(given)
            except ValueError as wrong:
                self.problems.append(f"{name}={raw!r}: {wrong}; this value is ignored")
                continue
            self.chosen[row.attribute] = name
            return value
        return row.kind(row.default)

    def _unknown_names(self, environ: Mapping[str, str]) -> None:
        known = {name for row in TABLE for name in row.variables}.union((RUN_PID,))
        for name in environ:
            if name.startswith("AUTOTRACE_") and name not in known:
                self.problems.append(f"{name} is not a setting of autotrace; the README lists all settings")

    def _ratio(self) -> None:
        try:
            ratio(self.sampler_arg)
        except ValueError as wrong:
            self.problems.append(
                f"{self.chosen.get('sampler_arg', 'sampler_arg')}={self.sampler_arg:g}: {wrong}; 1 is used"
            )
            self.sampler_arg = 1.0


_in_force: Settings | None = None


def in_force() -> Settings:
    """The Settings of this process, read on the first call. Each module derives what it needs, once."""
    global _in_force
    if _in_force is None:
        _in_force = Settings()
    return _in_force


def run_pid() -> str:
    """The process that `autotrace-run` became, '' without it. Its children do not repeat what it has said of the settings."""
    return os.environ.get(RUN_PID, "")
