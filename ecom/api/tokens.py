"""Badges: what a customer shows at the door, made and read without a table of them.

A badge is a JSON Web Token (RFC 7519) with HMAC-SHA256 under a key made of the door's own token. So
whoever knows that token can make any badge, nobody else can make one, and a new token ends all of
them.
"""

import hmac

import jwt

BADGE_SECONDS = 24 * 3_600  # how long a badge is good for

_DOOR = "ecom door"  # the audience: what else is signed with the same secret is no badge
_METHOD = "HS256"  # whatever the one that is shown says


def badge(secret: str, customer: str, expires: int) -> str:
    """The customer's badge, good until `expires` (epoch seconds)."""
    return jwt.encode({"sub": customer, "aud": _DOOR, "exp": expires}, key(secret), _METHOD)


def holder(secret: str, shown: str) -> str | None:
    """Whose badge this is; None if we did not make it, or if it has expired."""
    needed = {"require": ["sub", "exp"]}
    try:
        return jwt.decode(shown, key(secret), [_METHOD], needed, audience=_DOOR)["sub"]
    except jwt.InvalidTokenError:
        return None


def key(secret: str) -> bytes:
    """What badges are signed with. Not the secret as it is: one that looks like a public key, as a
    random one may, is refused by the library."""
    return hmac.digest(secret.encode(), _DOOR.encode(), "sha512")


def same(shown: str, known: str) -> bool:
    """Whether two secrets are equal; how long it takes does not tell where they differ."""
    return hmac.compare_digest(shown.encode(), known.encode())
