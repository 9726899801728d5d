"""The examples' Kubernetes manifests, as kustomize builds them: valid, complete, right for the agent and for Kiali.

Limit: no cluster is asked. Whether Istio and Kiali do with them what docs/istio.md says is not tested here.
"""

from __future__ import annotations

import copy
import re
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import pytest
from jsonschema import Draft7Validator
from jsonschema.validators import validator_for

from autotrace.export.jaeger.endpoint import Collector, endpoint
from autotrace.export.resource import program_name
from autotrace.settings import Settings
from examples.eshop.places import TABLES
from test_services import kubernetes_schemas
from test_services.cache import Unavailable, require_real
from tests.end_to_end.test_kiali_stories import arena_mesh, eshop_mesh
from tests.examples.kiali import ENTRY, SERVICE, WORKLOAD
from tests.programs import ROOT

EXAMPLES = ROOT / "examples"
MESHES = {"eshop": eshop_mesh(), "mesh_arena": arena_mesh()}
FOLDERS = (*MESHES, "harness/k8s/backends")
PROVIDERS = sorted((EXAMPLES / "harness" / "k8s" / "istio").glob("*.yaml"))

Document = dict[str, Any]


@pytest.fixture(scope="module", autouse=True)
def published() -> None:
    try:
        kubernetes_schemas.obtain_all()
    except Unavailable as reason:
        require_real("kustomize and the schemas", reason, "tests of the manifests are skipped")
        pytest.skip("kustomize and the schemas cannot be had")


@cache
def documents(folder: str) -> list[Document]:
    """As `kubectl apply -k` would send them."""
    return kubernetes_schemas.built(EXAMPLES / folder)


def of_kind(kind: str, *folders: str) -> dict[str, Document]:
    """Name -> document."""
    found = [document for folder in folders for document in documents(folder) if document["kind"] == kind]
    return {document["metadata"]["name"]: document for document in found}


def container(deployment: Document) -> Document:
    (only,) = deployment["spec"]["template"]["spec"]["containers"]
    return dict(only)


def variables(deployment: Document, folder: str) -> dict[str, str]:
    """The environment of the program, with what a pod and a Secret would give."""
    found = {}
    for variable in container(deployment)["env"]:
        source = variable.get("valueFrom", {})
        if "secretKeyRef" in source:
            secret = of_kind("Secret", folder)[source["secretKeyRef"]["name"]]
            found[variable["name"]] = secret["stringData"][source["secretKeyRef"]["key"]]
        elif source:
            assert source == {"fieldRef": {"fieldPath": "metadata.namespace"}}
            found[variable["name"]] = deployment["metadata"]["namespace"]
        else:
            found[variable["name"]] = variable["value"]
    return found


def wrong(document: Document) -> list[str]:
    """What its published schema refuses."""
    return refused(kubernetes_schemas.schema(document["apiVersion"], document["kind"]), document)


def refused(schema: Document, document: Any) -> list[str]:
    validator = validator_for(schema, default=Draft7Validator)(schema)
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(document)]


def mesh_config(path: Any) -> Document:
    (installation,) = kubernetes_schemas.documents(path.read_text())
    assert (installation["apiVersion"], installation["kind"]) == ("install.istio.io/v1alpha1", "IstioOperator")
    assert set(installation["spec"]) == {"meshConfig"}
    return dict(installation["spec"]["meshConfig"])


class TestTheSchemas:
    @pytest.mark.parametrize("folder", FOLDERS)
    def test_every_document_is_valid(self, folder: str) -> None:
        assert documents(folder)
        assert [f"{one['kind']} {line}" for one in documents(folder) for line in wrong(one)] == []

    @pytest.mark.parametrize("provider", PROVIDERS, ids=lambda path: path.name)
    def test_every_provider_is_valid(self, provider: Any) -> None:
        assert refused(kubernetes_schemas.mesh_config(), mesh_config(provider)) == []

    @pytest.mark.parametrize(
        ("kind", "path", "value"),
        [
            ("Deployment", "spec.template.spec.containers.0.envs", []),
            ("Deployment", "spec.template.spec.initContainers.0.securityContext.runAsUser", "1337"),
            ("Deployment", "spec.template.spec.volumes.0.emptydir", {}),
            ("Deployment", "spec.replica", 1),
            ("Service", "spec.ports.0.port", "80"),
            ("Secret", "stringdata", {}),
            ("ServiceEntry", "spec.host", "kafka"),
            ("ServiceEntry", "spec.ports.0.number", "9092"),
            ("ServiceEntry", "spec.location", "OUTSIDE"),
            ("ServiceEntry", "spec.resolution", "dns"),
            ("Telemetry", "spec.tracing.0.providers.0.provider", "zipkin"),
            ("Telemetry", "spec.tracing.0.randomSamplingPercentage", 200),
            ("Telemetry", "spec.tracings", []),
        ],
    )
    def test_a_mistake_is_refused(self, kind: str, path: str, value: object) -> None:
        """The oracle itself: a schema that lets everything through would be no test."""
        document = copy.deepcopy(next(iter(of_kind(kind, "eshop").values())))
        *way, last = path.split(".")
        place: Any = document
        for step in way:
            place = place[int(step)] if step.isdigit() else place[step]
        place[last] = value
        assert len(wrong(document)) >= 1

    @pytest.mark.parametrize(
        "mistake",
        [
            {"extensionProviders": [{"name": "tracing", "zipkin": {"sevice": "zipkin"}}]},
            {"extensionProviders": [{"name": "tracing", "zipkin": {"traceContextOption": "B3"}}]},
            {"extensionProviders": [{"name": "tracing", "opentelemetry": {"port": "4317"}}]},
            {"extensionProviders": {"name": "tracing"}},
            {"extensionprovider": []},
        ],
    )
    def test_a_mistake_in_a_provider_is_refused(self, mistake: Document) -> None:
        assert len(refused(kubernetes_schemas.mesh_config(), mistake)) == 1

    def test_a_resource_that_nobody_publishes_is_named(self) -> None:
        for api_version, kind in (("apps/v2", "Deployment"), ("telemetry.istio.io/v2", "Telemetry")):
            with pytest.raises(KeyError, match=f"{api_version} {kind}"):
                kubernetes_schemas.schema(api_version, kind)


@pytest.mark.parametrize("example", MESHES)
class TestAnExample:
    def test_has_a_namespace_in_the_mesh_and_everything_is_in_it(self, example: str) -> None:
        ((name, namespace),) = of_kind("Namespace", example).items()
        assert namespace["metadata"]["labels"] == {"istio-injection": "enabled"}
        assert {one["metadata"].get("namespace", name) for one in documents(example)} == {name}

    def test_runs_every_program_of_the_example_and_no_other(self, example: str) -> None:
        (programs,) = of_kind("ConfigMap", example).values()
        run = {container(one)["command"][-1] for one in of_kind("Deployment", example).values()}
        assert run == {f"/programs/{name}" for name in programs["data"]}
        for name, text in programs["data"].items():
            assert text == (EXAMPLES / example / name).read_text()

    def test_every_volume_is_there_and_is_what_it_is_mounted_as(self, example: str) -> None:
        maps = of_kind("ConfigMap", example)
        for deployment in of_kind("Deployment", example).values():
            pod = deployment["spec"]["template"]["spec"]
            volumes = {volume["name"]: volume for volume in pod["volumes"]}
            mounts = {mount["name"]: mount["mountPath"] for mount in container(deployment)["volumeMounts"]}
            assert mounts == {"autotrace": "/autotrace", "venv": "/venv", "programs": "/programs"}
            assert set(volumes) == set(mounts)
            assert volumes["programs"]["configMap"]["name"] in maps
            made = {mount["name"] for one in pod["initContainers"] for mount in one["volumeMounts"]}
            assert made == {"autotrace", "venv"}

    def test_every_address_leads_to_something(self, example: str) -> None:
        """A URL to a Service whose pods listen there, a part to a ServiceEntry of that very host."""
        services, deployments = of_kind("Service", example), of_kind("Deployment", example)
        hosts = {host: entry for entry in of_kind("ServiceEntry", example).values() for host in entry["spec"]["hosts"]}
        reached = set()
        for deployment in deployments.values():
            known = variables(deployment, example)
            broker, _, port = known["KAFKA_BOOTSTRAP_SERVERS"].partition(":")
            assert hosts[broker]["spec"]["ports"][0]["number"] == int(port)
            reached.add(broker)
            for name, value in known.items():
                if name == "DATABASE_URL":
                    reached.add(str(urlsplit(value).hostname))
                elif name.endswith("_URL"):
                    assert name == f"{urlsplit(value).hostname}_url".upper()
                    assert urlsplit(value).hostname in services
        assert reached == set(hosts)
        for name, service in services.items():
            (port,) = service["spec"]["ports"]
            assert (port["port"], port["name"]) == (80, "http")  # Istio takes the protocol from the port's name
            assert service["spec"]["selector"] == {"app": name}
            (listening,) = container(deployments[name])["ports"]
            assert listening["name"] == port["targetPort"]
            assert str(listening["containerPort"]) == variables(deployments[name], example)["PORT"]

    def test_every_variable_that_a_program_reads_is_given(self, example: str) -> None:
        (programs,) = of_kind("ConfigMap", example).values()
        for name, deployment in of_kind("Deployment", example).items():
            read = set(re.findall(r'environ\.get\("(\w+)"', programs["data"][f"{name}.py"]))
            assert read <= set(variables(deployment, example))

    def test_the_agent_gets_no_setting_that_it_would_refuse(self, example: str) -> None:
        for deployment in of_kind("Deployment", example).values():
            settings = Settings(variables(deployment, example))
            assert settings.problems == []
            collector = endpoint(settings)
            assert isinstance(collector, Collector)
            port = str(urlsplit(collector.url).port)
            annotations = deployment["spec"]["template"]["metadata"]["annotations"]
            assert annotations["traffic.sidecar.istio.io/excludeOutboundPorts"] == port

    def test_the_agent_is_brought_and_found(self, example: str) -> None:
        """What the init container installs is where PYTHONPATH looks, made by the Python that will run it."""
        for deployment in of_kind("Deployment", example).values():
            pod = deployment["spec"]["template"]["spec"]
            agent = next(one for one in pod["initContainers"] if one["name"] == "autotrace")
            *_, target, package = agent["command"]
            assert package == "autotrace-agent"
            assert variables(deployment, example)["PYTHONPATH"] == f"{target}/autotrace/bootstrap"
            assert {one["image"] for one in (*pod["initContainers"], container(deployment))} == {agent["image"]}
            assert all(one["securityContext"]["runAsUser"] == 1337 for one in pod["initContainers"])

    def test_kiali_finds_the_services_by_the_names_that_the_agent_gives_them(self, example: str) -> None:
        for name, deployment in of_kind("Deployment", example).items():
            known = Settings(variables(deployment, example))
            assert known.service_name == "" and known.namespace == deployment["metadata"]["namespace"]
            assert program_name(container(deployment)["command"]) == name
            labels = deployment["spec"]["template"]["metadata"]["labels"]
            assert labels == {"app": name, "version": "v1"}
            assert deployment["spec"]["selector"] == {"matchLabels": {"app": name}}

    def test_the_graph_of_the_tests_of_kiali_is_this_mesh(self, example: str) -> None:
        graph = MESHES[example]
        drawn = {kind: {node.name for node in graph.nodes if node.kind == kind} for kind in (WORKLOAD, SERVICE, ENTRY)}
        assert drawn == {
            WORKLOAD: set(of_kind("Deployment", example)),
            SERVICE: set(of_kind("Service", example)),
            ENTRY: set(of_kind("ServiceEntry", example)),
        }
        assert set(of_kind("Namespace", example)) == {graph.namespace}
        for node in graph.nodes:
            if node.kind == ENTRY:
                assert list(node.hosts) == of_kind("ServiceEntry", example)[node.name]["spec"]["hosts"]

    def test_its_requests_are_traced_by_the_provider_of_either_installation(self, example: str) -> None:
        (telemetry,) = of_kind("Telemetry", example).values()
        (tracing,) = telemetry["spec"]["tracing"]
        wanted = [provider["name"] for provider in tracing["providers"]]
        assert tracing["randomSamplingPercentage"] == 100
        assert len(PROVIDERS) == 2
        for installation in PROVIDERS:
            assert [one["name"] for one in mesh_config(installation)["extensionProviders"]] == wanted


class TestTheParts:
    FOLDER = "harness/k8s/backends"

    def test_are_where_the_service_entries_say(self) -> None:
        for entry in of_kind("ServiceEntry", *MESHES).values():
            for host in entry["spec"]["hosts"]:
                name, _, rest = host.partition(".")
                service = of_kind("Service", self.FOLDER)[name]
                assert rest == f"{service['metadata']['namespace']}.svc.cluster.local"
                assert service["spec"]["ports"][0]["port"] == entry["spec"]["ports"][0]["number"]
                assert service["spec"]["selector"] == {"app": name}
                assert of_kind("Deployment", self.FOLDER)[name]["spec"]["template"]["metadata"]["labels"] == {
                    "app": name
                }

    def test_the_broker_advertises_the_name_that_it_is_asked_by(self) -> None:
        known = variables(of_kind("Deployment", self.FOLDER)["kafka"], self.FOLDER)
        (entry,) = of_kind("ServiceEntry", "mesh_arena").values()
        assert known["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{entry['spec']['hosts'][0]}:9092"

    def test_the_database_has_the_tables_and_the_user_of_the_eshop(self) -> None:
        (tables,) = of_kind("ConfigMap", self.FOLDER).values()
        (text,) = tables["data"].values()
        assert text.splitlines() == [
            f"CREATE TABLE {table} (id serial PRIMARY KEY, {column});" for table, column in TABLES.items()
        ]
        (secret,) = of_kind("Secret", "eshop").values()
        url = urlsplit(secret["stringData"]["url"])
        known = variables(of_kind("Deployment", self.FOLDER)["postgresql"], self.FOLDER)
        assert (url.username, url.password) == (known["POSTGRES_USER"], known["POSTGRES_PASSWORD"])
        assert url.path == f"/{known['POSTGRES_USER']}"  # the image names the database after its user
