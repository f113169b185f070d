"""Tests of permissions mean the same for root, whom permissions do not hold back."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# linux/capability.h, linux/prctl.h
CAPABILITY_VERSION = 0x20080522
PAST_PERMISSIONS = (1 << 1) | (1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


class _Header(ctypes.Structure):
    _fields_ = [("version", ctypes.c_uint32), ("pid", ctypes.c_int)]


class _Set(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint32) for name in ("effective", "permitted", "inheritable")]


@contextmanager
def held_back_by_permissions() -> Iterator[None]:
    """Run the block as somebody whom the permissions of files hold back, in this process and its forks.

    Root stays root, and so the owner of the checkout and of every temporary file, but does without the two capabilities
    that pass over permissions: another user could read neither in a private folder. Programs started in the block by
    exec get them back.
    """
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        raise RuntimeError("run the tests as an ordinary user: root cannot be held back by permissions here")
    with _without_capabilities(PAST_PERMISSIONS):
        yield


@contextmanager
def _without_capabilities(mask: int) -> Iterator[None]:
    header, sets = _Header(CAPABILITY_VERSION, 0), (_Set * 2)()
    _call("capget", header, sets)
    before = sets[0].effective
    sets[0].effective = before & ~mask
    _call("capset", header, sets)
    try:
        yield
    finally:
        sets[0].effective = before
        _call("capset", header, sets)


def _call(name: str, header: _Header, sets: ctypes.Array[_Set]) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(ctypes.byref(header), ctypes.byref(sets)):
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
