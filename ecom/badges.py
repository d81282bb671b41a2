"""Badges: what a customer shows at the door, made and read without a table of them.

A badge is `customer.expiry.signature`, each in a form that fits a header. The signature is an
HMAC-SHA256 under the door's own token, so whoever knows that token can make any badge, nobody else
can make one, and a new token ends all of them.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode

BADGE_SECONDS = 24 * 3_600  # how long a badge is good for


def badge(secret: str, customer: str, expires: int) -> str:
    """The customer's badge, good until `expires` (epoch seconds)."""
    claim = f"{urlsafe_b64encode(customer.encode()).decode()}.{expires}"
    return f"{claim}.{_signature(secret, claim)}"


def holder(secret: str, shown: str, now: float) -> str | None:
    """Whose badge this is; None if we did not make it, or if it has expired."""
    claim, _, signature = shown.rpartition(".")
    if not same(signature, _signature(secret, claim)):
        return None
    customer, _, expires = claim.partition(".")
    return urlsafe_b64decode(customer).decode() if now < int(expires) else None


def same(shown: str, known: str) -> bool:
    """Whether two secrets are equal; how long it takes does not tell where they differ."""
    return hmac.compare_digest(shown.encode(), known.encode())


def _signature(secret: str, claim: str) -> str:
    # The prefix: nothing else that is ever signed with this secret can pass for a badge.
    return hmac.digest(secret.encode(), f"ecom badge 1 {claim}".encode(), "sha256").hex()
