"""Sagas of other trades than the shop's, with nothing but what `docs/YOUR_OWN.md` promises."""
