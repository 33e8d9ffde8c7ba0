"""WireGuard's public keys, derived with nothing but Python itself: a server need not have `wg` or a library for it."""

from __future__ import annotations

import base64
import binascii
import re

# 32 bytes in base64: 43 characters, the last of which carries four bits, and the padding.
_KEY = re.compile(r"[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=")

_PRIME = 2**255 - 19  # RFC 7748, section 4.1
_A24 = 121665  # (486662 - 2) / 4, the same
_BASE_POINT = 9


def is_key(text: str) -> bool:
    """Whether the text has the form in which `wg genkey`, `wg pubkey` and `wg genpsk` print keys."""
    return _KEY.fullmatch(text) is not None


def derive_public(private: str) -> str:
    """What `wg pubkey` prints for this private key; ValueError if it is none."""
    if not is_key(private):
        raise ValueError("not a key")
    try:
        raw = bytearray(base64.b64decode(private, validate=True))
    except binascii.Error as error:
        raise ValueError("not a key") from error
    raw[0] &= 248
    raw[31] = (raw[31] & 127) | 64
    point = _multiply(int.from_bytes(raw, "little"), _BASE_POINT)
    return base64.b64encode(point.to_bytes(32, "little")).decode()


def _multiply(scalar: int, u: int) -> int:
    """The Montgomery ladder of RFC 7748, section 5. Not in constant time: only the server itself could measure it."""
    x2, z2, x3, z3, swapped = 1, 0, u, 1, 0
    for position in reversed(range(255)):
        bit = scalar >> position & 1
        if bit != swapped:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swapped = bit
        total, difference = x2 + z2, x2 - z2
        cross_a, cross_b = (x3 - z3) * total, (x3 + z3) * difference
        squared, squared_difference = total * total, difference * difference
        gap = squared - squared_difference
        x3, z3 = (cross_a + cross_b) ** 2 % _PRIME, u * (cross_a - cross_b) ** 2 % _PRIME
        x2, z2 = squared * squared_difference % _PRIME, gap * (squared + _A24 * gap) % _PRIME
    if swapped:
        x2, z2 = x3, z3
    return x2 * pow(z2, _PRIME - 2, _PRIME) % _PRIME
