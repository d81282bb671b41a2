"""Authentication: whose token a request has, checked before its body is read.

ECOM_HTTP_TOKEN is the checkout's, which may do everything. Without it anybody may do everything, so
only on loopback. A customer's own token is for their own orders. There is no table of these: such a
token is a JSON Web Token (RFC 7519) with HMAC-SHA256 under a key made of the checkout's token. So
only who knows the checkout's token can make one, and a new checkout's token ends all of them.
"""

import hmac
import re
from typing import Any

from fastapi import Request
from fastapi.responses import JSONResponse

from ecom.errors import ShopError
from ecom.settings import MIN_TOKEN, check_token_form, shown

PUBLIC = {"/health", "/metrics"}  # they show nothing of any order
TOKEN_SECONDS = 24 * 3_600  # how long a customer's token is good for

_LOOPBACK = re.compile(r"localhost|127(\.\d{1,3}){3}")
_AUDIENCE = "ecom api"  # of this shop: what else is signed with the same secret is none of ours
_METHOD = "HS256"  # whatever a token says of itself


def check_token(host: str, token: str | None) -> None:
    """Raise `ShopError` unless the API may listen at `host` with this token, or with None."""
    if token is None and not _LOOPBACK.fullmatch(host):
        raise ShopError(
            f"The HTTP API at {shown(host)} is open to other machines: set ECOM_HTTP_TOKEN to "
            f"{MIN_TOKEN} or more random characters, or leave ECOM_HTTP_HOST at 127.0.0.1."
        )
    if token is not None:
        check_token_form(token)


def customer_of(request: Request) -> str | None:
    """The customer whose token this is; None: it is the checkout, who may do all."""
    return request.scope["customer"]


class Authentication:
    """Middleware that answers 401 unless the checkout's token or a customer's is there."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: dict, receive: Any, send: Any) -> None:
        settings, scope["customer"] = scope["app"].state.process.settings, None
        if (secret := settings.http_token) and scope["path"] not in PUBLIC:
            token = _bearer(scope["headers"])
            # How long this takes does not tell where the two differ.
            if not hmac.compare_digest(token.encode(), secret.encode()):
                scope["customer"] = verified_customer(secret, token, settings.shop)
                if scope["customer"] is None:
                    await _UNAUTHORIZED(scope, receive, send)
                    return
        await self._app(scope, receive, send)


def _bearer(headers: list[tuple[bytes, bytes]]) -> str:
    """The token of the one `Authorization: Bearer` header; "" if there are two."""
    values = [value for name, value in headers if name == b"authorization"]
    scheme, _, token = (values[0] if len(values) == 1 else b"").partition(b" ")
    return token.strip().decode("latin-1") if scheme.lower() == b"bearer" else ""


_UNAUTHORIZED = JSONResponse(
    {"detail": "a token that is good here is needed: Authorization: Bearer …"},
    401,
    {"WWW-Authenticate": 'Bearer realm="ecom"'},
)


# ── customers' tokens ─────────────────────────────────────────────────────────────────────────
def customer_token(secret: str, customer: str, expires: int, shop: str) -> str:
    """The customer's token for this shop, good until `expires` (epoch seconds)."""
    import jwt  # here, and below: it takes 40 ms, and a shop may do without customers' tokens

    claims = {"sub": customer, "aud": f"{_AUDIENCE} {shop}", "exp": expires}
    return jwt.encode(claims, signing_key(secret), _METHOD)


def verified_customer(secret: str, token: str, shop: str) -> str | None:
    """Whose token this is; None if this shop did not make it, or if it has expired."""
    import jwt

    key, needed = signing_key(secret), {"require": ["sub", "exp"]}
    try:
        claims = jwt.decode(token, key, [_METHOD], needed, audience=f"{_AUDIENCE} {shop}")
        return claims["sub"] or None
    except jwt.InvalidTokenError:
        return None


def signing_key(secret: str) -> bytes:
    """The key that signs tokens. Not the secret itself: the library refuses one that looks like a
    public key, as a random one may."""
    return hmac.digest(secret.encode(), _AUDIENCE.encode(), "sha512")
