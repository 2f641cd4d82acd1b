"""JSON is decoded as Go decodes it, and encoded with only the changed bytes replaced."""

import msgspec
import pytest

from engine.admission.create_request import (
    BindOptions,
    ContainerSpec,
    CreateContainer,
    CreateService,
    HostConfig,
    Mount,
    TaskSpec,
)
from engine.admission.go_json import read
from engine.json_input import UNREADABLE

ODD = """ {"Image" : "a",\t"hoſtconfig":{ "BINDS":["a:/x", null ] ,"Z":1e999,"é":"\\ud83d\\ude00"},
 "q" : [1.50, {"Image":"]}"}], "mac\u212a":12345678901234567890 , "Env":[ ], "x":"\\\\\\"" }\n"""


def host(text: str) -> HostConfig | None:
    return read(f'{{"HostConfig":{text}}}'.encode(), CreateContainer).value.host_config


def test_field_names_are_case_insensitive() -> None:
    document = read(ODD.encode(), CreateContainer)
    config = HostConfig(binds=("a:/x", ""))
    assert document.value == CreateContainer(image="a", host_config=config)
    assert document.encode(document.value) == ODD.encode()


@pytest.mark.parametrize(
    "key", ["HostConﬁg", "HoﬆConfig", "HostConfıg", "HostConfig\\u0000", "Host"]
)
def test_a_key_that_only_resembles_a_field_name_is_ignored(key: str) -> None:
    body = f'{{"{key}":{{"Binds":["/etc:/x"]}}}}'.encode()
    assert read(body, CreateContainer).value == CreateContainer()


def test_a_key_may_be_escaped() -> None:
    assert read(b'{"\\u0049mage":"a","Im\\u0061ge":"b"}', CreateContainer).value.image == "b"


@pytest.mark.parametrize(
    ("text", "read_as"),
    [
        ("null", None),
        ('{"Binds":["a"],"Binds":["b","c"],"Binds":["d"]}', HostConfig(binds=("d",))),
        ('{"Binds":["a","b"],"binds":["c"],"BINDS":[null,null]}', HostConfig(binds=("c", "b"))),
        ('{"Binds":["a","b"],"Binds":[],"Binds":["c",null]}', HostConfig(binds=("c", ""))),
        ('{"Binds":["a"],"Binds":null}', HostConfig()),
        ('{"Binds":["a"],"Binds":null,"Binds":[null]}', HostConfig(binds=("",))),
        ('{"Tmpfs":{"a":"x","A":null},"tmpfs":{"a":"y"}}', HostConfig(tmpfs={"a": "y", "A": ""})),
        ('{"Tmpfs":{"/a":""},"Tmpfs":null}', HostConfig()),
        ('{"Binds":["a"]},"hostconfig":{"Tmpfs":{"/b":""}}', HostConfig(("a",), tmpfs={"/b": ""})),
        ('{"Binds":["a"]},"HostConfig":null', None),
        ('{"Binds":["a"]},"HostConfig":null,"HostConfig":{}', HostConfig()),
    ],
)
def test_duplicate_fields_are_merged_as_in_go(text: str, read_as: HostConfig | None) -> None:
    assert host(text) == read_as


def test_list_elements_of_duplicate_fields_are_merged() -> None:
    first = '{"Type":"bind","Source":"/a","BindOptions":{"CreateMountpoint":true}}'
    lists = (
        f'{{"Mounts":[{first},{{"Source":"/b"}}],"mounts":[{{}}],"MOUNTS":[null,{{"Type":"x"}}]}}'
    )
    options = BindOptions(create_mountpoint=True)
    assert host(lists) == HostConfig(
        mounts=(Mount("bind", "/a", bind_options=options), Mount("x", "/b"))
    )


def test_null_does_not_change_a_struct_that_is_no_pointer() -> None:
    spec = '{"TaskTemplate":{"ContainerSpec":{"Env":["a"]}},"TaskTemplate":null}'
    task = TaskSpec(ContainerSpec(env=("a",)))
    assert read(spec.encode(), CreateService).value == CreateService(task_template=task)


def test_duplicate_fields_are_encoded_once() -> None:
    """A parser with other rules for duplicates must not read other values."""
    body = b'{"A":1,"HostConfig":{"X":2,"Binds":["a"]}, "Image":"b",'
    body += b'"hostconfig": {"binds":["c"],"X":3}}'
    document = read(body, CreateContainer)
    assert document.encode(document.value) == (
        b'{"A":1, "Image":"b","hostconfig": {"X":2,"binds":["c"],"X":3}}'
    )


def test_a_change_keeps_every_other_byte() -> None:
    document = read(ODD.encode(), CreateContainer)
    config = HostConfig(binds=("b:/x", "", "c:/y"), mounts=(Mount("bind", "/a"),))
    changed = msgspec.structs.replace(document.value, host_config=config, env=("A=b", 'C="'))
    mounts = ',"Mounts":[{"Type":"bind","Source":"/a"}]}'
    wanted = (
        ODD.replace('"a:/x", null ]', '"b:/x", null ,"c:/y"]')
        .replace('ude00"}', 'ude00"' + mounts)
        .replace("[ ]", '[ "A=b","C=\\""]')
    )
    assert document.encode(changed) == wanted.encode()


@pytest.mark.parametrize("before", ["{}", '{"HostConfig":null}', '{"hostconfig":{}}'])
def test_a_missing_field_is_added(before: str) -> None:
    document = read(before.encode(), CreateContainer)
    changed = msgspec.structs.replace(document.value, host_config=HostConfig(binds=("a",)))
    sent = document.encode(changed)
    assert read(sent, CreateContainer).value == changed
    assert sent.lower() == b'{"hostconfig":{"binds":["a"]}}'


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"null",
        b"5",
        b'{"HostConfig":5}',
        b'{"HostConfig":[]}',
        b'{"HostConfig":{"Binds":{}}}',
        b'{"HostConfig":{"Binds":"a"}}',
        b'{"HostConfig":{"Binds":[5]},"HostConfig":null}',
        b'{"HostConfig":{"Binds":["a",5],"Binds":["b"]}}',
        b'{"HostConfig":{"Binds":[5],"Binds":[],"Binds":["b"]}}',
        b'{"HostConfig":{"Mounts":[{"BindOptions":{"CreateMountpoint":1}}]}}',
        b'{"HostConfig":{"Tmpfs":{"/a":1}}}',
        b'{"Image":5,"Image":"a"}',
        b'{"Image":["a"]}',
    ],
)
def test_a_value_of_the_wrong_type_is_a_validation_error(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        read(body, CreateContainer)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b'{"a":[1,]}',
        b'{"a":1}}',
        b'{"a":1} {}',
        b'{"Image":"\xff"}',
        b'{"\xff":1}',
        b'{"HostConfig":{"\xff":1}}',
        b'{"a":"\\ud800"}',
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    ],
)
def test_invalid_json_is_unreadable(body: bytes) -> None:
    with pytest.raises(UNREADABLE) as caught:
        read(body, CreateContainer)
    assert not isinstance(caught.value, msgspec.ValidationError)
