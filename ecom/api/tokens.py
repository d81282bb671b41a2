"""Customers' tokens: made and verified without a table of them.

A token is a JSON Web Token (RFC 7519) with HMAC-SHA256 under a key made of the checkout's token. So
only who knows the checkout's token can make one, and a new checkout's token ends all of them.
"""

import hmac

TOKEN_SECONDS = 24 * 3_600  # how long a token is good for

_AUDIENCE = "ecom api"  # other things signed with the same secret are not tokens of ours
_METHOD = "HS256"  # whatever a token says of itself


def customer_token(secret: str, customer: str, expires: int) -> str:
    """The customer's token, good until `expires` (epoch seconds)."""
    import jwt  # here, and below: it takes 40 ms, and a shop may do without customers' tokens

    claims = {"sub": customer, "aud": _AUDIENCE, "exp": expires}
    return jwt.encode(claims, signing_key(secret), _METHOD)


def verified_customer(secret: str, token: str) -> str | None:
    """Whose token this is; None if we did not make it, or if it has expired."""
    import jwt

    key, needed = signing_key(secret), {"require": ["sub", "exp"]}
    try:
        return jwt.decode(token, key, [_METHOD], needed, audience=_AUDIENCE)["sub"]
    except jwt.InvalidTokenError:
        return None


def signing_key(secret: str) -> bytes:
    """The key that signs tokens. Not the secret itself: the library refuses one that looks like a
    public key, as a random one may."""
    return hmac.digest(secret.encode(), _AUDIENCE.encode(), "sha512")
