"""Bodies of create requests as hostile and sloppy clients write them, made from random bytes.

Keys in any case, also with a long s, the Kelvin sign and escapes; duplicate fields; null and wrong
types. Most are valid, so that dockerd accepts them. Next: `test_as_dockerd_reads.py`.
"""

import itertools
from collections.abc import Callable

from tests.e2e.galley import IMAGE
from tests.fuzz.harness import Source

WRONG = (b"5", b'"x"', b"true", b"{}", b"[]", b"[5]", b"[[]]", b"1.5", b"-1", b'[{"Type":5}]')

type Producer = Callable[[], bytes]


class Bodies:
    """`name`: of the service to create."""

    def __init__(self, source: Source, name: str) -> None:
        self._source = source
        self._name = name
        self._numbers = itertools.count(1)  # keeps mount points and ports unique

    def container(self) -> bytes:
        top_level = self._host() if self._source.one_in(5) else []
        fixed = [
            b'"Cmd":["sh"]',
            b'"Labels":{"a":"\\u00e9","a":"b" }',
            self._member("Image", lambda: b'"%s"' % IMAGE.encode()),
        ]
        fields: list[tuple[str, Producer]] = [
            ("HostConfig", lambda: self._object(self._host())),
            ("HostConfig", lambda: self._object(self._host())),
            ("Env", lambda: self._list(self._variable)),
        ]
        return self._joined([*fixed, *self._members([*fields, *top_level])])

    def service(self) -> bytes:
        fixed = [
            b'"Name":"%s"' % self._name.encode(),
            b'"Mode" : {"Replicated":{"Replicas":0}}',
            b'"TaskTemplate":{"ContainerSpec":{"Image":"%s"}}' % IMAGE.encode(),
        ]
        fields: list[tuple[str, Producer]] = [
            ("TaskTemplate", self._task),
            ("TaskTemplate", self._task),
            ("EndpointSpec", lambda: self._object([("Ports", lambda: self._list(self._port))])),
        ]
        return self._joined([*fixed, *self._members(fields)])

    def _host(self) -> list[tuple[str, Producer]]:
        return [
            ("Binds", lambda: self._list(lambda: b'"/proc:/b%d"' % next(self._numbers))),
            ("Mounts", lambda: self._list(self._mount)),
            ("Tmpfs", lambda: b'{"/t%d":"size=1m"}' % next(self._numbers)),
            ("Memory", lambda: b"%d" % (64 << 20)),
        ]

    def _task(self) -> bytes:
        return self._object(
            [("ContainerSpec", self._container_spec), ("ForceUpdate", lambda: b"1")]
        )

    def _container_spec(self) -> bytes:
        return self._object(
            [
                ("Env", lambda: self._list(self._variable)),
                ("Mounts", lambda: self._list(lambda: self._mount(self._any_type))),
                ("Hostname", lambda: b'"h"'),
            ]
        )

    def _mount(self, kind: Producer = lambda: b'"bind"') -> bytes:
        fields: list[tuple[str, Producer]] = [
            ("Type", kind),
            ("Source", lambda: self._source.pick((b'"/proc"', b'"/sys"'))),
            ("Target", lambda: b'"/m%d"' % next(self._numbers)),
        ]
        options: list[tuple[str, Producer]] = [
            ("CreateMountpoint", lambda: self._source.pick((b"true", b"false"))),
            ("Propagation", lambda: b'"rprivate"'),
        ]
        more = self._members([("BindOptions", lambda: self._object(options))])
        return self._joined([*(self._member(name, make) for name, make in fields), *more])

    def _any_type(self) -> bytes:
        return self._source.pick((b'"bind"', b'"BIND"', b'"Bind"', b'""', '"bınd"'.encode()))

    def _port(self) -> bytes:
        number = next(self._numbers)
        fields: list[tuple[str, Producer]] = [
            ("Protocol", lambda: self._source.pick((b'"tcp"', b'"UDP"', b'""'))),
            ("TargetPort", lambda: b"%d" % (80 + number)),
            ("PublishedPort", lambda: b"%d" % (self._source.pick((20000, 70000)) + number)),
            ("PublishMode", lambda: self._source.pick((b'"ingress"', b'"Host"', b'""'))),
        ]
        return self._object(fields)

    def _variable(self) -> bytes:
        return b'"A%d=\\u00e9\\n"' % next(self._numbers)

    # JSON syntax

    def _object(self, fields: list[tuple[str, Producer]]) -> bytes:
        return self._joined(self._members(fields))

    def _members(self, fields: list[tuple[str, Producer]]) -> list[bytes]:
        """Most of the fields, some of them twice."""
        chosen = [field for field in fields if not self._source.one_in(3)]
        chosen += self._source.some(1, lambda: self._source.pick(fields))
        return [self._member(name, make) for name, make in chosen]

    def _member(self, name: str, make: Producer) -> bytes:
        space = self._source.pick((b"", b"", b" ", b"\n\t"))
        key = self._key(name)
        if self._source.one_in(16):
            return b'"%s"%s:null' % (key, space)
        wrong = self._source.one_in(120)
        return b'"%s"%s:%s%s' % (key, space, space, self._source.pick(WRONG) if wrong else make())

    def _key(self, name: str) -> bytes:
        name = self._source.pick((name, name, name.lower(), name.upper(), name.swapcase()))
        if self._source.one_in(4):
            letter = self._source.pick(("s", "S", "k", "K"))
            name = name.replace(letter, "ſ" if letter in "sS" else "\u212a", 1)
        if self._source.one_in(8) and name[0].isascii():
            return b"\\u%04x%s" % (ord(name[0]), name[1:].encode())
        return name.encode()

    def _list(self, make: Producer) -> bytes:
        items = self._source.some(3, make)
        if self._source.one_in(16):
            items.insert(self._source.below(len(items) + 1), b"null")
        return b"[" + b" ,".join(items) + b"]"

    def _joined(self, members: list[bytes]) -> bytes:
        """An object with the members in random order."""
        order = sorted(members, key=lambda _: self._source.below(256))
        return b"{" + self._source.pick((b",", b" , ")).join(order) + b"}"
