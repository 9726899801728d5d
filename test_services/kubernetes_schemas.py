"""The checks of the examples' manifests: kustomize itself, and the published schemas of Kubernetes and Istio.

Kubernetes' come from the wheel kubernetes-validate, Istio's from its Go module istio.io/api. Limit: Istio's are closed
here (a field that is not in them is refused), as its API server would only prune it; rules in CEL are not run.
"""

from __future__ import annotations

import json
import shutil
import zipfile
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from test_services import go_modules
from test_services.cache import obtain
from test_services.pip_folder import run_pip
from test_services.processes import run_to_end
from test_services.proto_schema import json_schema

#: Exact on purpose: test data, not dependencies.
KUBERNETES_VALIDATE, KUBERNETES = "1.37.0", "1.34.0"
ISTIO_API = "v1.28.0"
KUSTOMIZE = "v5.7.1"
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


_EVERY_RESOURCE = {
    "apiVersion": {"type": "string"},
    "kind": {"type": "string"},
    "metadata": {"type": "object", "required": ["name"]},
}


def obtain_all() -> None:
    """Unavailable where one of the three cannot be had."""
    _kustomize()
    _kubernetes()
    _istio_api()


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.load_all(text, _LOADER) if document]


def built(folder: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k folder` would send. Unavailable where kustomize refuses the folder, with its words."""
    return documents(run_to_end([_kustomize(), "build", folder]))


def schema(api_version: str, kind: str) -> dict[str, Any]:
    """The strict JSON schema of a resource. KeyError for one that nobody publishes."""
    if api_version.partition("/")[0].endswith(".istio.io"):
        return _istio(api_version, kind)
    group, _, version = api_version.rpartition("/")
    name = "-".join(filter(None, (kind.lower(), group.split(".")[0], version)))
    folder = _kubernetes()
    try:
        found: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    except FileNotFoundError:
        raise KeyError(f"{api_version} {kind}") from None
    del found["$id"]
    found["$defs"] = json.loads((folder / "_definitions.json").read_text())["$defs"]
    return _local(found)


def mesh_config() -> dict[str, Any]:
    """The schema of `meshConfig` in an installation of Istio."""
    return json_schema((_istio_api() / "mesh/v1alpha1/config.proto").read_text(), "MeshConfig")


def _istio(api_version: str, kind: str) -> dict[str, Any]:
    group, _, version = api_version.partition("/")
    for definition in _definitions():
        spec = definition["spec"]
        if (spec["group"], spec["names"]["kind"]) == (group, kind):
            for one in spec["versions"]:
                if one["name"] == version:
                    found: dict[str, Any] = _closed(one["schema"]["openAPIV3Schema"])
                    return {**found, "properties": {**found["properties"], **_EVERY_RESOURCE}}
    raise KeyError(f"{api_version} {kind}")


@cache
def _definitions() -> list[dict[str, Any]]:
    return documents((_istio_api() / "kubernetes/customresourcedefinitions.gen.yaml").read_text())


def _closed(schema: Any) -> Any:
    """No other fields than those that are named, wherever an object names some and is no alternative to another."""
    if isinstance(schema, list):
        return [_closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(one) for key, one in schema.items()}
    if closed.get("type") == "object" and isinstance(closed.get("properties"), dict):
        closed.setdefault("additionalProperties", False)
    return closed


def _local(schema: Any) -> Any:
    """`_definitions.json#/...`, the file beside it, is in the same document."""
    if isinstance(schema, dict):
        return {
            key: f"#{one.partition('#')[2]}" if key == "$ref" and isinstance(one, str) else _local(one)
            for key, one in schema.items()
        }
    return [_local(one) for one in schema] if isinstance(schema, list) else schema


def _kustomize() -> Path:
    package = f"sigs.k8s.io/kustomize/kustomize/v5@{KUSTOMIZE}"
    return obtain(
        f"kustomize-{KUSTOMIZE}", lambda scratch: go_modules.program(package, scratch), "building a Go module"
    )


def _istio_api() -> Path:
    return obtain(
        f"istio-api-{ISTIO_API}",
        lambda scratch: go_modules.files(f"istio.io/api@{ISTIO_API}", scratch),
        "downloading a Go module",
    )


def _kubernetes() -> Path:
    return obtain(f"kubernetes-schemas-{KUBERNETES}", _out_of_the_wheel, "downloading with pip")


def _out_of_the_wheel(scratch: Path) -> Path:
    """The folder of one version out of the wheel, which has thirteen, twice."""
    wanted = f"kubernetes-validate=={KUBERNETES_VALIDATE}"
    run_pip("download", "--no-deps", "--dest", scratch, wanted)
    (wheel,) = scratch.glob("*.whl")
    folder = f"kubernetes_validate/kubernetes-json-schema/v{KUBERNETES}-local-strict/"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(scratch / "all", [name for name in archive.namelist() if name.startswith(folder)])
    return Path(shutil.move(scratch / "all" / folder, scratch / "schemas"))
