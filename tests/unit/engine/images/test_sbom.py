"""Bills of materials: what they list, what both formats make of it, and references within them.

The formats' own schemas are no dependency of Galley, so the fields that they require are checked
here one by one.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

import msgspec
import pytest

from engine.images.sbom import (
    Bill,
    Component,
    Kind,
    app_bill,
    image_bill,
    to_cyclonedx,
    to_spdx,
)
from tests import small_image
from tests.small_image import DOCKER, MANIFEST
from vm import image
from vm.errors import HostError, SettingsError
from vm.image import Package

STDCXX = Package("14.2.0-19", "amd64", "gcc-14", "14.2.0-19", "12" * 32)
PROFILE = Package("1:26~rc1-2+b1", "all", "sources", "1:26~rc1-2", "34" * 32)
BIG = msgspec.structs.replace(
    MANIFEST, packages={**MANIFEST.packages, "libstdc++6": STDCXX, "profile": PROFILE}
)
APP = Bill(
    Component(Kind.APPLICATION, "galley", "0.1", "pkg:generic/galley@0.1", license="Apache-2.0"),
    (
        Component(Kind.LIBRARY, "Tool_Box", "1+x", "pkg:pypi/tool-box@1%2Bx", license="MIT"),
        Component(Kind.LIBRARY, "plain", "2", "pkg:pypi/plain@2"),
    ),
)


@pytest.fixture(params=["image", "app"])
def bill(request: pytest.FixtureRequest, tmp_path: Path) -> Bill:
    if request.param == "app":
        return APP
    return image_bill(image.read_manifest(small_image.make_in(tmp_path / "image", BIG)))


@pytest.fixture
def cyclonedx(bill: Bill) -> Any:
    return json.loads(to_cyclonedx(bill))


@pytest.fixture
def spdx(bill: Bill) -> Any:
    return json.loads(to_spdx(bill))


# What a bill lists


def test_an_image_consists_of_packages_programs_and_files(tmp_path: Path) -> None:
    manifest = image.read_manifest(small_image.make_in(tmp_path / "image", BIG))
    bill = image_bill(manifest)
    assert [(each.kind, each.name, each.version) for each in bill.components] == [
        (Kind.LIBRARY, "docker.io", "26.1.5+dfsg1-9"),
        (Kind.LIBRARY, "libstdc++6", "14.2.0-19"),
        (Kind.LIBRARY, "profile", "1:26~rc1-2+b1"),
        (Kind.LIBRARY, "runc", "1:2.3-4"),
        (Kind.APPLICATION, "galley-guest", "abc"),
        (Kind.FILE, "vmlinux", ""),
        (Kind.FILE, "initramfs", ""),
        (Kind.FILE, "root.qcow2", ""),
        (Kind.FILE, "certificates.pem", ""),
    ]
    digests = {each.name: each.sha256 for each in bill.components}
    assert digests["docker.io"] == DOCKER.sha256
    assert digests["vmlinux"] == manifest.parts[0].sha256
    assert bill.date == MANIFEST.date
    assert bill.subject.version == f"abc-{manifest.package_set}"
    assert not bill.subject.license  # it has many


@pytest.mark.parametrize(
    ("name", "purl"),
    [
        # As the specification's own tests: a colon stays, a plus sign does not.
        ("profile", "pkg:deb/debian/profile@1:26~rc1-2%2Bb1?arch=all&distro=trixie"),
        ("libstdc++6", "pkg:deb/debian/libstdc%2B%2B6@14.2.0-19?arch=amd64&distro=trixie"),
    ],
)
def test_the_purl_of_a_debian_package_is_canonical(name: str, purl: str) -> None:
    (found,) = (each for each in image_bill(BIG).components if each.name == name)
    assert found.purl == purl


def test_a_debian_package_has_its_source_package() -> None:
    found = {each.name: each.source for each in image_bill(BIG).components}
    source = found["profile"]
    assert source is not None
    assert (source.name, source.version, source.sha256) == ("sources", "1:26~rc1-2", "")
    assert source.purl == "pkg:deb/debian/sources@1:26~rc1-2?arch=source&distro=trixie"


def test_every_purl_can_be_decoded_again() -> None:
    for component in image_bill(BIG).components:
        if component.purl:
            match = re.fullmatch(r"pkg:[^@]+/([^@/]+)@([^?]+)(?:\?(.*))?", component.purl)
            assert match
            assert unquote(match[1]) == component.name
            assert unquote(match[2]) == component.version
            keys = [key for key, _value in parse_qsl(match[3] or "")]
            assert keys == sorted(keys)


def test_the_bill_of_this_installation_lists_what_galley_needs_and_no_tools() -> None:
    bill = app_bill()
    names = [each.name for each in bill.components]
    assert {"msgspec", "docker", "urllib3", "paramiko", "cffi", "PySide6_Essentials"} <= {*names}
    assert not {"pytest", "mypy", "ruff", "hypothesis", "galley"} & {*names}
    assert names == sorted(names, key=lambda name: re.sub(r"[-_.]+", "-", name).lower())
    assert bill.subject.name == "galley"
    assert not bill.date


def distribution(folder: Path, name: str, *requires: str, licensed: str = "") -> None:
    """Installs a package that has no files."""
    lines = ["Metadata-Version: 2.4", f"Name: {name}", "Version: 1.0"]
    lines += [f"License-Expression: {licensed}"] if licensed else []
    lines += [f"Requires-Dist: {each}" for each in requires]
    place = folder / f"{name.replace('-', '_')}-1.0.dist-info"
    place.mkdir()
    (place / "METADATA").write_text("\n".join(lines) + "\n")


def test_requirements_are_followed_without_extras(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a circle, by another spelling, and to a package of another system."""
    here = ('a.b[x]>=1; python_version > "3"', "c(>=2)", 'windows; sys_platform == "win32"')
    distribution(tmp_path, "galley", *here, "dev; extra == 'dev'")
    distribution(tmp_path, "A_B", 'd ; python_version>"3" and extra=="x"', licensed="MIT")
    distribution(tmp_path, "c", "galley", "E~=1.0")
    for name in ("d", "dev", "e"):
        distribution(tmp_path, name)
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    bill = app_bill()
    assert [(each.name, each.purl, each.license) for each in bill.components] == [
        ("A_B", "pkg:pypi/a-b@1.0", "MIT"),
        ("c", "pkg:pypi/c@1.0", ""),
        ("e", "pkg:pypi/e@1.0", ""),
    ]


def test_without_an_installed_galley_there_is_no_bill(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    with pytest.raises(HostError) as caught:
        app_bill()
    assert caught.value.code == "sbom.not_installed"


# Both formats


def test_equal_manifests_give_equal_bytes() -> None:
    again = msgspec.structs.replace(BIG, packages=dict(reversed(BIG.packages.items())))
    for write in (to_cyclonedx, to_spdx):
        assert write(image_bill(again)) == write(image_bill(BIG))
        assert write(image_bill(MANIFEST)) != write(image_bill(BIG))


def test_another_recipe_or_package_is_another_document() -> None:
    other = msgspec.structs.replace(BIG, recipe="def")
    digest = msgspec.structs.replace(STDCXX, sha256="56" * 32)
    patched = msgspec.structs.replace(BIG, packages={**BIG.packages, "libstdc++6": digest})
    manifests = (MANIFEST, BIG, other, patched)
    assert len({image_bill(each).identity for each in manifests}) == len(manifests)


def test_cyclonedx_has_the_fields_that_it_requires(bill: Bill, cyclonedx: Any) -> None:
    assert (cyclonedx["bomFormat"], cyclonedx["specVersion"]) == ("CycloneDX", "1.6")
    assert cyclonedx["version"] == 1
    assert cyclonedx["serialNumber"] == f"urn:uuid:{bill.identity}"
    assert cyclonedx["metadata"].get("timestamp", "") == bill.date
    assert len(cyclonedx["components"]) == len(bill.components)
    for written, component in zip(cyclonedx["components"], bill.components, strict=True):
        assert (written["type"], written["name"]) == (component.kind, component.name)
        assert written.get("version", "") == component.version
        assert written.get("purl", "") == component.purl
        hashes = [("SHA-256", component.sha256)] if component.sha256 else []
        assert [(each["alg"], each["content"]) for each in written.get("hashes", ())] == hashes
        licenses = [{"expression": component.license}] if component.license else []
        assert written.get("licenses", []) == licenses


def test_cyclonedx_names_the_source_package() -> None:
    document = json.loads(to_cyclonedx(image_bill(BIG)))
    ancestors = {
        each["name"]: [
            (source["name"], source["version"]) for source in each["pedigree"]["ancestors"]
        ]
        for each in document["components"]
        if "pedigree" in each
    }
    assert ancestors["libstdc++6"] == [("gcc-14", "14.2.0-19")]
    assert ancestors.keys() == BIG.packages.keys()


def test_references_of_cyclonedx_are_unique_and_lead_to_a_component(cyclonedx: Any) -> None:
    subject = cyclonedx["metadata"]["component"]["bom-ref"]
    refs = [each["bom-ref"] for each in cyclonedx["components"]]
    assert len({subject, *refs}) == len(refs) + 1
    assert cyclonedx["dependencies"] == [{"ref": subject, "dependsOn": refs}]


def test_spdx_has_the_fields_that_it_requires(bill: Bill, spdx: Any) -> None:
    assert (spdx["spdxVersion"], spdx["dataLicense"]) == ("SPDX-2.3", "CC0-1.0")
    assert spdx["SPDXID"] == "SPDXRef-DOCUMENT"
    assert spdx["name"] == bill.subject.name
    assert spdx["documentNamespace"].endswith(f"/{bill.subject.name}-{bill.identity}")
    assert spdx["creationInfo"]["creators"] == ["Tool: galley"]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", spdx["creationInfo"]["created"])
    for written, component in zip(spdx["packages"], (bill.subject, *bill.components), strict=True):
        assert written["name"] == component.name
        assert written["downloadLocation"] == "NOASSERTION"
        assert written["filesAnalyzed"] is False
        assert written["supplier"] in (f"Organization: {component.supplier}", "NOASSERTION")
        assert written.get("versionInfo", "") == component.version
        assert written.get("licenseDeclared", "") == component.license
        sums = [each["checksumValue"] for each in written.get("checksums", ())]
        assert sums == [component.sha256] * bool(component.sha256)
        purls = [each["referenceLocator"] for each in written.get("externalRefs", ())]
        assert purls == [component.purl] * bool(component.purl)


def test_relationships_of_spdx_connect_elements_of_the_document(spdx: Any) -> None:
    packages = [each["SPDXID"] for each in spdx["packages"]]
    assert len(set(packages)) == len(packages)
    assert all(re.fullmatch(r"SPDXRef-[A-Za-z0-9.-]+", each) for each in packages)
    relationships = [
        (each["spdxElementId"], each["relationshipType"], each["relatedSpdxElement"])
        for each in spdx["relationships"]
    ]
    subject, *parts = packages
    assert relationships == [
        ("SPDXRef-DOCUMENT", "DESCRIBES", subject),
        *((subject, "CONTAINS", part) for part in parts),
    ]


def test_spdx_names_the_source_package_and_the_purpose() -> None:
    document = json.loads(to_spdx(image_bill(BIG)))
    found = {each["name"]: each for each in document["packages"]}
    assert found["libstdc++6"]["sourceInfo"] == "built from gcc-14 14.2.0-19"
    assert found["galley-image-stable-amd64"]["primaryPackagePurpose"] == "OPERATING_SYSTEM"
    assert document["creationInfo"]["created"] == MANIFEST.date


# The time of a bill that has none


def test_the_time_of_a_reproducible_build_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1735689600")
    assert json.loads(to_spdx(APP))["creationInfo"]["created"] == "2025-01-01T00:00:00Z"
    assert to_spdx(APP) == to_spdx(APP)


@pytest.mark.parametrize("value", ["yesterday", "1.5", "9" * 30])
def test_a_wrong_time_of_a_reproducible_build_is_an_error(
    monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", value)
    with pytest.raises(SettingsError) as caught:
        to_spdx(APP)
    assert value in caught.value.summary
    to_spdx(image_bill(BIG))  # it has a date of its own
    to_cyclonedx(APP)
