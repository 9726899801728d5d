"""Settings: one table, read in one order, listed in the README. A bad value costs one line and no more."""

from __future__ import annotations

import typing
from pathlib import Path

import pytest

from autotrace.setting_types import Setting, any_of
from autotrace.settings import TABLE, Settings

README = Path(__file__).parents[2] / "README.md"


def test_the_readme_lists_every_setting_as_the_table_has_it() -> None:
    lines = README.read_text().splitlines()
    for row in TABLE:
        assert readme_line(row) in lines, readme_line(row)


def test_the_readme_lists_no_setting_that_does_not_exist() -> None:
    listed = [line for line in README.read_text().splitlines() if line.startswith("| `AUTOTRACE_")]
    assert len(listed) == len(TABLE)


def readme_line(row: Setting) -> str:
    ours, *others = row.variables
    also = ", ".join(f"`{name}`" for name in others)
    default = (
        f"`{row.default}`"
        if row.default and len(row.default) < 60
        else ("see `autotrace check`" if row.default else "")
    )
    return f"| `{ours}` | {also} | {default} | {row.meaning} |"


def test_every_row_is_an_annotated_attribute_and_the_other_way_round() -> None:
    assert {row.attribute for row in TABLE} == set(Settings.__annotations__)


def test_every_value_has_the_annotated_type() -> None:
    defaults = Settings({})
    for name, annotation in typing.get_type_hints(Settings).items():
        assert isinstance(getattr(defaults, name), typing.get_origin(annotation) or annotation), name


def test_nothing_set_gives_the_defaults_and_no_complaint() -> None:
    settings = Settings({})
    assert settings.problems == []
    assert settings.enabled
    assert settings.propagators == ("b3multi", "tracecontext", "baggage")
    assert settings.exporter == "jaeger"
    assert settings.sampler == "parentbased_always_on"


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.attribute)
def test_ours_wins_over_opentelemetrys_and_that_over_jaegers(row: Setting) -> None:
    order = [name.partition("_")[0] for name in row.variables]
    ranks = [("AUTOTRACE", "POD", "OTEL", "JAEGER").index(prefix) for prefix in order]
    assert ranks == sorted(ranks)


@pytest.mark.parametrize(
    ("variables", "attribute", "value"),
    [
        ({"JAEGER_SERVICE_NAME": "a"}, "service_name", "a"),
        ({"JAEGER_SERVICE_NAME": "a", "OTEL_SERVICE_NAME": "b"}, "service_name", "b"),
        ({"OTEL_SERVICE_NAME": "b", "AUTOTRACE_SERVICE_NAME": "c"}, "service_name", "c"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "x=1,service.name=shop"}, "service_name", "shop"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "x=1,y=two words"}, "tags", {"x": "1", "y": "two words"}),
        ({"JAEGER_TAGS": "zone=eu"}, "tags", {"zone": "eu"}),
        ({"JAEGER_ENDPOINT": "http://j:14268/api/traces"}, "endpoint", "http://j:14268/api/traces"),
        ({"JAEGER_AGENT_HOST": "j"}, "agent_host", "j"),
        ({"JAEGER_AGENT_PORT": "5775"}, "agent_port", 5775),
        ({"JAEGER_PROPAGATION": "b3"}, "propagators", ("b3multi",)),
        ({"JAEGER_PROPAGATION": "jaeger,w3c"}, "propagators", ("jaeger", "tracecontext", "baggage")),
        ({"OTEL_PROPAGATORS": "tracecontext,xray"}, "propagators", ("tracecontext",)),
        ({"OTEL_PROPAGATORS": "xray"}, "propagators", ("b3multi", "tracecontext", "baggage")),
        ({"JAEGER_SAMPLER_TYPE": "const", "JAEGER_SAMPLER_PARAM": "0"}, "sampler_arg", 0.0),
        ({"JAEGER_SAMPLER_TYPE": "probabilistic"}, "sampler", "parentbased_traceidratio"),
        ({"JAEGER_SAMPLER_TYPE": "ratelimiting", "JAEGER_SAMPLER_PARAM": "7"}, "sampler_arg", 7.0),
        ({"OTEL_TRACES_SAMPLER": "always_off"}, "sampler", "always_off"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "exporter", "jaeger"),
        ({"OTEL_TRACES_EXPORTER": "none"}, "exporter", "none"),
        ({"JAEGER_TRACEID_128BIT": "false"}, "trace_id_128", False),
        ({"JAEGER_DISABLED": "true"}, "enabled", False),
        ({"OTEL_SDK_DISABLED": "true", "AUTOTRACE_ENABLED": "1"}, "enabled", True),
        ({"AUTOTRACE_DISABLED_PATCHES": " kafka , requests,"}, "disabled_patches", ("kafka", "requests")),
        ({"AUTOTRACE_PEER_NAMES": "10.0.0.1=db"}, "peer_names", {"10.0.0.1": "db"}),
        ({"AUTOTRACE_SERVICE_NAME": "  "}, "service_name", ""),
    ],
    ids=str,
)
def test_a_variable_means_what_its_system_means(variables: dict[str, str], attribute: str, value: object) -> None:
    settings = Settings(variables)
    assert getattr(settings, attribute) == value
    assert settings.problems == []


@pytest.mark.parametrize(
    ("variables", "named", "attribute", "value"),
    [
        ({"AUTOTRACE_SAMPLER_ARG": "half"}, "AUTOTRACE_SAMPLER_ARG='half': write a number", "sampler_arg", 1.0),
        ({"AUTOTRACE_SAMPLER_ARG": "nan"}, "AUTOTRACE_SAMPLER_ARG='nan': write a number", "sampler_arg", 1.0),
        ({"AUTOTRACE_SAMPLER_ARG": "-1"}, "AUTOTRACE_SAMPLER_ARG='-1': write a number", "sampler_arg", 1.0),
        (
            {"AUTOTRACE_SAMPLER": "traceidratio", "AUTOTRACE_SAMPLER_ARG": "50"},
            "AUTOTRACE_SAMPLER_ARG=50: a ratio is a number from 0 to 1",
            "sampler_arg",
            1.0,
        ),
        (
            {"AUTOTRACE_PROPAGATORS": "b3,w3c"},
            "'w3c' is not known",
            "propagators",
            ("b3multi", "tracecontext", "baggage"),
        ),
        ({"AUTOTRACE_ENABLED": "maybe"}, "AUTOTRACE_ENABLED='maybe': write true or false", "enabled", True),
        ({"AUTOTRACE_EXPORTER": "zipkin"}, "AUTOTRACE_EXPORTER='zipkin': write one of jaeger", "exporter", "jaeger"),
        ({"AUTOTRACE_QUEUE_SIZE": "0"}, "AUTOTRACE_QUEUE_SIZE='0': write a whole number", "queue_size", 10000),
        ({"AUTOTRACE_TAGS": "a=1,b"}, "'b' is not key=value", "tags", {}),
        (
            {"JAEGER_SAMPLER_TYPE": "remote"},
            "JAEGER_SAMPLER_TYPE='remote': write one of",
            "sampler",
            "parentbased_always_on",
        ),
        ({"AUTOTRACE_SERVICENAME": "x"}, "AUTOTRACE_SERVICENAME is not a setting", "service_name", ""),
    ],
    ids=str,
)
def test_a_bad_value_is_one_line_and_the_next_source_counts(
    variables: dict[str, str], named: str, attribute: str, value: object
) -> None:
    settings = Settings(variables)
    assert len(settings.problems) == 1
    assert named in settings.problems[0]
    assert "\n" not in settings.problems[0]
    assert getattr(settings, attribute) == value


def test_a_bad_value_of_ours_lets_anothers_good_one_count() -> None:
    settings = Settings({"AUTOTRACE_SAMPLER": "x", "OTEL_TRACES_SAMPLER": "always_off"})
    assert settings.sampler == "always_off"
    assert settings.chosen["sampler"] == "OTEL_TRACES_SAMPLER"


@pytest.mark.parametrize(
    ("globs", "text", "matches"),
    [
        ((), "a", None),
        (("*.internal", "audit"), "x.internal", True),
        (("*.internal", "audit"), "audit", True),
        (("*.internal", "audit"), "audits", False),
        (("audit",), "Audit", False),
    ],
)
def test_any_of_matches_what_one_glob_matches(globs: tuple[str, ...], text: str, matches: bool | None) -> None:
    pattern = any_of(globs)
    assert (None if pattern is None else pattern.match(text) is not None) is matches
