"""Which service answers which message: the shop's sagas, each a value."""
