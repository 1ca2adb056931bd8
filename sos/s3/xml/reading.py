"""Request documents: strict, bounded parsing into typed structs.

1. The bytes are bounded by whoever reads the body; nothing here holds more than the document's own content.
2. A document type declaration is refused at its first byte: no entities, no external references.
3. An element that the struct does not name, a second one of a single element, one more than may be repeated, text
   between elements, or a value out of its bounds is MalformedXML; parsing stops there, so neither depth nor size of what
   follows matters.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar
from xml.parsers import expat

import msgspec
from msgspec import inspect

from ..codes import Code
from ..errors import Refusal

Document = TypeVar("Document", bound=msgspec.Struct)


@dataclass(slots=True)
class Shape:
    """What an element may hold.

    :param value: what the text of a leaf means
    :param children: elements allowed inside, None for a leaf
    :param many: may be repeated; collected into a list
    :param most: how often
    """

    value: Callable[[str], Any] = str
    children: dict[str, Shape] | None = None
    many: bool = False
    most: int = sys.maxsize


@dataclass(slots=True)
class _Open:
    """An element whose end was not seen yet."""

    name: str
    shape: Shape
    values: dict[str, Any] = field(default_factory=dict)
    pieces: list[str] = field(default_factory=list)


def shape_of(struct: type[msgspec.Struct]) -> Shape:
    """The shape that a struct describes: names of its fields, nested structs, tuples for repeated elements."""
    described = inspect.type_info(struct)
    if not isinstance(described, inspect.StructType):
        raise TypeError(f"{struct} is not a struct")
    return _shape(described)


def _shape(described: inspect.Type) -> Shape:
    if isinstance(described, inspect.UnionType):
        described = next(t for t in described.types if not isinstance(t, inspect.NoneType))
    if isinstance(described, inspect.VarTupleType):
        inner = _shape(described.item_type)
        return Shape(inner.value, inner.children, True, described.max_length or sys.maxsize)
    if isinstance(described, inspect.StructType):
        return Shape(children={f.encode_name: _shape(f.type) for f in described.fields})
    return Shape(_VALUES[type(described)])


def _number(text: str) -> int:
    """Decimal digits with white space around them, which some clients send."""
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit() and len(digits) <= 19):
        raise malformed()
    return int(digits)


def _flag(text: str) -> bool:
    """xsd:boolean."""
    return _FLAGS[text.strip().lower()]


_FLAGS = {"true": True, "1": True, "false": False, "0": False}
_VALUES: dict[type[inspect.Type], Callable[[str], Any]] = {
    inspect.StrType: str,
    inspect.IntType: _number,
    inspect.BoolType: _flag,
}
"""Type of a field → how its text is read. Text counts character for character: it may be a key."""


def malformed() -> Refusal:
    return Refusal(Code.MalformedXML)


class _Builder:
    """Callbacks of the parser: builds plain values and refuses what the shape does not allow."""

    def __init__(self, root: str, shape: Shape) -> None:
        self._stack = [_Open("", Shape(children={root: shape}))]

    @property
    def result(self) -> dict[str, Any]:
        return self._stack[0].values

    def start(self, name: str, attributes: dict[str, str]) -> None:
        name = name.rpartition(" ")[2]
        parent = self._stack[-1]
        shape = (parent.shape.children or {}).get(name)
        if shape is None or (name in parent.values and (not shape.many or len(parent.values[name]) >= shape.most)):
            raise malformed()
        self._stack.append(_Open(name, shape))

    def text(self, data: str) -> None:
        current = self._stack[-1]
        if current.shape.children is None:
            current.pieces.append(data)
        elif not data.isspace():
            raise malformed()

    def end(self, name: str) -> None:
        done = self._stack.pop()
        values = self._stack[-1].values
        value = self._value(done)
        if done.shape.many:
            values.setdefault(done.name, []).append(value)
        else:
            values[done.name] = value

    @staticmethod
    def _value(done: _Open) -> Any:
        if done.shape.children is not None:
            return done.values
        return done.shape.value("".join(done.pieces))


def _refuse(*_: object) -> None:
    raise malformed()


def parser(root: str, struct: type[Document]) -> Callable[[bytes], Document]:
    """A function that parses a document with root element ``root`` into ``struct``.

    :raises Refusal: MalformedXML (from the returned function)
    """
    shape = shape_of(struct)

    def parse(document: bytes) -> Document:
        builder = _Builder(root, shape)
        machine = expat.ParserCreate(namespace_separator=" ")
        machine.buffer_text = True
        machine.StartElementHandler = builder.start
        machine.EndElementHandler = builder.end
        machine.CharacterDataHandler = builder.text
        machine.StartDoctypeDeclHandler = _refuse
        machine.EntityDeclHandler = _refuse
        try:
            machine.Parse(document, True)
            return msgspec.convert(builder.result[root], struct)
        except (expat.ExpatError, msgspec.ValidationError, LookupError, ValueError) as error:
            raise malformed() from error

    return parse
