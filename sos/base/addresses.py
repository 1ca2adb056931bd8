"""Where the bytes of an object stand, by CPython's buffer protocol."""

from __future__ import annotations

import ctypes


class PyBuffer(ctypes.Structure):
    """``Py_buffer`` of the stable ABI (since Python 3.11)."""

    _fields_ = [
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_void_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    ]


#: (object, address of a ``PyBuffer``, flags): fills it and holds the object until ``release_buffer``; raises BufferError.
get_buffer = ctypes.pythonapi.PyObject_GetBuffer
get_buffer.argtypes = [ctypes.py_object, ctypes.c_void_p, ctypes.c_int]
#: (address of a ``PyBuffer``)
release_buffer = ctypes.pythonapi.PyBuffer_Release
release_buffer.argtypes = [ctypes.c_void_p]
release_buffer.restype = None
WRITABLE = 1


def address_of(exporter: object) -> int:
    """The address of a buffer, also of a read-only one (``from_buffer`` refuses those)."""
    buffer = PyBuffer()
    get_buffer(exporter, ctypes.addressof(buffer), 0)
    try:
        return int(buffer.buf or 0)
    finally:
        release_buffer(ctypes.addressof(buffer))
