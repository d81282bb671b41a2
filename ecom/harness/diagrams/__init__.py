"""Pictures of the saga, drawn from the code and the tables themselves, so that none goes stale."""
