"""Which service handles which message: the shop's sagas, each a value."""
