"""Software bills of materials of a guest image and of this Galley, as CycloneDX and as SPDX.

    to_cyclonedx(image_bill(manifest))      to_spdx(app_bill())

A `Bill` is a subject and its components; it has no format. Equal bills give equal bytes. What an
image was built from, and when that was signed, is in its manifest (`Manifest.releases`).

Sources: https://spdx.org/rdf/spdx-terms-v2.3/, ECMA-424 (CycloneDX 1.6), ECMA-427 (purl)
"""

import os
import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from importlib import metadata
from urllib.parse import quote

import msgspec

from engine.messages.image import SBOM_BAD_TIME, SBOM_NOT_INSTALLED
from vm.errors import HostError, Retry, SettingsError
from vm.image import Manifest, Package

OURS = "galley"
LICENSE = "Apache-2.0"  # of Galley's own code, not of an image, which holds the code of many
_NAME = re.compile(r"[\w.-]+")  # of a package, at the start of a requirement
_EXTRA = re.compile(r";.*\bextra\b")  # the marker of a requirement that only an extra has


class Kind(StrEnum):
    """What a component is, as CycloneDX names it."""

    APPLICATION = "application"
    FILE = "file"
    LIBRARY = "library"  # any package
    OPERATING_SYSTEM = "operating-system"


class Component(msgspec.Struct, frozen=True):
    """Something that a bill lists. An empty field is unknown. `source`: the source package that it
    was compiled from."""

    kind: Kind
    name: str
    version: str = ""
    purl: str = ""
    sha256: str = ""
    supplier: str = ""
    license: str = ""  # an SPDX expression
    source: "Component | None" = None

    @property
    def ref(self) -> str:
        """Identifies it within a bill."""
        return self.purl or self.name


class Bill(msgspec.Struct, frozen=True):
    """What `subject` consists of. `date`: RFC 3339 in UTC, or empty."""

    subject: Component
    components: tuple[Component, ...]
    date: str = ""

    @property
    def identity(self) -> uuid.UUID:
        """Another one for any other name or version."""
        refs = [component.ref for component in (self.subject, *self.components)]
        return uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(refs))


def image_bill(image: Manifest) -> Bill:
    """An image: the packages that it was made of, Galley's programs in it, and its files."""
    packages = [
        _debian(name, package, image.suite) for name, package in sorted(image.packages.items())
    ]
    programs = _own(Kind.APPLICATION, f"{OURS}-guest", image.recipe, LICENSE)
    files = [
        Component(Kind.FILE, part.name, sha256=part.sha256, supplier=OURS) for part in image.parts
    ]
    name = f"{OURS}-image-{image.channel}-{image.arch}"
    subject = _own(Kind.OPERATING_SYSTEM, name, f"{image.recipe}-{image.package_set}")
    return Bill(subject, (*packages, programs, *files), image.date)


def app_bill() -> Bill:
    """This installation of Galley: the Python packages that it runs with.

    Raises HostError when Galley is not installed as a package.
    """
    found = {_normal(each.name): each for each in _installed(OURS)}
    ours = found.pop(OURS, None)
    if ours is None:
        raise HostError(SBOM_NOT_INSTALLED, retry=Retry.NO)
    subject = _own(Kind.APPLICATION, OURS, ours.version, LICENSE)
    return Bill(subject, tuple(_python(found[name]) for name in sorted(found)))


def _own(kind: Kind, name: str, version: str, expression: str = "") -> Component:
    purl = _purl("generic", name, version)
    return Component(kind, name, version, purl, supplier=OURS, license=expression)


def _debian(name: str, package: Package, suite: str) -> Component:
    def described(name: str, version: str, arch: str, sha256: str = "") -> Component:
        purl = _purl("deb/debian", name, version, arch=arch, distro=suite)
        return Component(Kind.LIBRARY, name, version, purl, sha256, supplier="Debian")

    return msgspec.structs.replace(
        described(name, package.version, package.arch, package.sha256),
        source=described(package.source, package.source_version, "source"),
    )


def _python(package: metadata.Distribution) -> Component:
    purl = _purl("pypi", _normal(package.name), package.version)
    expression = package.metadata.get("License-Expression") or ""
    return Component(Kind.LIBRARY, package.name, package.version, purl, license=expression)


def _installed(name: str) -> Iterator[metadata.Distribution]:
    """A distribution and what it requires, also indirectly; without extras.

    A requirement that is not installed is one of other systems.
    """
    seen: set[str] = set()
    waiting = [name]
    while waiting:
        name = waiting.pop()
        if _normal(name) in seen:
            continue
        seen.add(_normal(name))
        try:
            package = metadata.distribution(name)
        except metadata.PackageNotFoundError:
            continue
        yield package
        for requirement in package.requires or ():
            match = _NAME.match(requirement)
            if match and not _EXTRA.search(requirement):
                waiting.append(match[0])


def _normal(name: str) -> str:
    """The normalized spelling of a Python package's name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _purl(kind: str, name: str, version: str, **qualifiers: str) -> str:
    """A package URL. It never encodes a colon, which a Debian version may have. `qualifiers`: in
    alphabetical order."""
    pairs = "&".join(f"{key}={quote(value, safe=':')}" for key, value in qualifiers.items())
    purl = f"pkg:{kind}/{quote(name, safe='')}@{quote(version, safe=':')}"
    return f"{purl}?{pairs}" if pairs else purl


def _encoded(document: msgspec.Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(document), indent=1) + b"\n"


# CycloneDX 1.6


class _Document(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """Part of a written bill: a field that has its default is left out."""


class _Supplier(_Document, frozen=True):
    name: str


class _Hash(_Document, frozen=True):
    alg: str
    content: str


class _License(_Document, frozen=True):
    expression: str


class _Pedigree(_Document, frozen=True):
    ancestors: "tuple[_Component, ...]"


class _Component(_Document, frozen=True):
    type: Kind
    name: str
    bom_ref: str = msgspec.field(default="", name="bom-ref")
    version: str = ""
    supplier: _Supplier | None = None
    hashes: tuple[_Hash, ...] = ()
    licenses: tuple[_License, ...] = ()
    purl: str = ""
    pedigree: _Pedigree | None = None


class _Tools(_Document, frozen=True):
    components: tuple[_Component, ...]


class _Metadata(_Document, frozen=True):
    tools: _Tools
    component: _Component
    timestamp: str = ""


class _Dependency(_Document, frozen=True):
    ref: str
    depends_on: tuple[str, ...]


class _CycloneDx(_Document, frozen=True):
    bom_format: str
    spec_version: str
    serial_number: str
    version: int
    metadata: _Metadata
    components: tuple[_Component, ...]
    dependencies: tuple[_Dependency, ...]


def to_cyclonedx(bill: Bill) -> bytes:
    tools = _Tools((_Component(Kind.APPLICATION, OURS),))
    subject = _cyclonedx_component(bill.subject, bill.subject.ref)
    refs = tuple(component.ref for component in bill.components)
    return _encoded(
        _CycloneDx(
            bom_format="CycloneDX",
            spec_version="1.6",
            serial_number=bill.identity.urn,
            version=1,
            metadata=_Metadata(tools, subject, bill.date),
            components=tuple(_cyclonedx_component(each, each.ref) for each in bill.components),
            dependencies=(_Dependency(bill.subject.ref, refs),),
        )
    )


def _cyclonedx_component(component: Component, ref: str = "") -> _Component:
    """An ancestor has no `ref`: several packages may have the same one."""
    source = component.source
    return _Component(
        type=component.kind,
        name=component.name,
        bom_ref=ref,
        version=component.version,
        supplier=_Supplier(component.supplier) if component.supplier else None,
        hashes=(_Hash("SHA-256", component.sha256),) if component.sha256 else (),
        licenses=(_License(component.license),) if component.license else (),
        purl=component.purl,
        pedigree=_Pedigree((_cyclonedx_component(source),)) if source else None,
    )


# SPDX 2.3


class _Creation(_Document, frozen=True):
    created: str
    creators: tuple[str, ...]


class _Checksum(_Document, frozen=True):
    algorithm: str
    checksum_value: str


class _Reference(_Document, frozen=True):
    reference_category: str
    reference_type: str
    reference_locator: str


class _SpdxPackage(_Document, frozen=True):
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    download_location: str
    files_analyzed: bool
    primary_package_purpose: str
    supplier: str
    version_info: str = ""
    license_declared: str = ""
    source_info: str = ""
    checksums: tuple[_Checksum, ...] = ()
    external_refs: tuple[_Reference, ...] = ()


class _Relationship(_Document, frozen=True):
    spdx_element_id: str
    relationship_type: str
    related_spdx_element: str


class _Spdx(_Document, frozen=True):
    spdx_version: str
    data_license: str
    spdx_id: str = msgspec.field(name="SPDXID")
    name: str
    document_namespace: str
    creation_info: _Creation
    packages: tuple[_SpdxPackage, ...]
    relationships: tuple[_Relationship, ...]


def to_spdx(bill: Bill) -> bytes:
    """Raises SettingsError when SOURCE_DATE_EPOCH, which a bill without a date uses, is wrong."""
    document, subject = "SPDXRef-DOCUMENT", "SPDXRef-subject"
    # Names of packages have characters that an id must not have.
    parts = {f"SPDXRef-{number}": each for number, each in enumerate(bill.components, 1)}
    return _encoded(
        _Spdx(
            spdx_version="SPDX-2.3",
            data_license="CC0-1.0",
            spdx_id=document,
            name=bill.subject.name,
            # Where SPDX places the documents of those who have no site. Nothing is there.
            document_namespace=f"https://spdx.org/spdxdocs/{bill.subject.name}-{bill.identity}",
            creation_info=_Creation(bill.date or _now(), (f"Tool: {OURS}",)),
            packages=(
                _spdx_package(subject, bill.subject),
                *(_spdx_package(spdx_id, each) for spdx_id, each in parts.items()),
            ),
            relationships=(
                _Relationship(document, "DESCRIBES", subject),
                *(_Relationship(subject, "CONTAINS", spdx_id) for spdx_id in parts),
            ),
        )
    )


def _spdx_package(spdx_id: str, component: Component) -> _SpdxPackage:
    source, purl = component.source, component.purl
    return _SpdxPackage(
        spdx_id=spdx_id,
        name=component.name,
        download_location="NOASSERTION",
        files_analyzed=False,
        primary_package_purpose=component.kind.upper().replace("-", "_"),
        supplier=f"Organization: {component.supplier}" if component.supplier else "NOASSERTION",
        version_info=component.version,
        license_declared=component.license,
        source_info=f"built from {source.name} {source.version}" if source else "",
        checksums=(_Checksum("SHA256", component.sha256),) if component.sha256 else (),
        external_refs=(_Reference("PACKAGE-MANAGER", "purl", purl),) if purl else (),
    )


def _now() -> str:
    """The time of a reproducible build (SOURCE_DATE_EPOCH) if there is one, else the clock's."""
    value = os.environ.get("SOURCE_DATE_EPOCH", "")
    try:
        moment = datetime.fromtimestamp(int(value), UTC) if value else datetime.now(UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise SettingsError(SBOM_BAD_TIME, value=value) from error
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"
