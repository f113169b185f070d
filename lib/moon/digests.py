"""The digest for what never leaves this machine or need not be known to anybody else: BLAKE2b.

Taken from where Python has it, because `hashlib` would load OpenSSL, which takes longer than all else that an idle tick
or the pack of an answer does with it.
"""

from __future__ import annotations

try:
    from _blake2 import blake2b
except ImportError:
    from hashlib import blake2b

__all__ = ["blake2b"]
