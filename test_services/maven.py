"""Jars from Maven Central, with everything that they need at run time; and the JDK's own programs.

Java and Maven are the machine's, else Debian's packages (root only).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from test_services import debian
from test_services.cache import Unavailable, obtain
from test_services.processes import run_to_end

#: program -> the Debian package that has it.
PACKAGES = {"java": "default-jre-headless", "javac": "default-jdk-headless", "mvn": "maven"}

_POM = """<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>autotrace</groupId><artifactId>test-services</artifactId><version>1</version>
  <dependencies>{dependencies}</dependencies>
</project>
"""
_DEPENDENCY = "<dependency><groupId>{}</groupId><artifactId>{}</artifactId><version>{}</version></dependency>"


def jars(name: str, artifacts: Sequence[str]) -> Path:
    """The folder with the jars of `artifacts` ("group:artifact:version"), in the cache as `name`."""
    dependencies = "".join(_DEPENDENCY.format(*artifact.split(":")) for artifact in artifacts)

    def download(scratch: Path) -> Path:
        (scratch / "pom.xml").write_text(_POM.format(dependencies=dependencies))
        maven = [program("mvn"), "-q", "-B", "dependency:copy-dependencies", "-DincludeScope=runtime"]
        run_to_end([*maven, f"-DoutputDirectory={scratch / 'jars'}"], seconds=600, cwd=scratch)
        return scratch / "jars"

    return obtain(name, download, "downloading from Maven Central")


def program(name: str) -> str:
    """The path of a key of PACKAGES. cache.Unavailable where it can be neither found nor installed."""
    if not shutil.which(name):
        debian.install(PACKAGES[name])
    found = shutil.which(name)
    if not found:
        raise Unavailable(f"no {name} on PATH")
    return found
