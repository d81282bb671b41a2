"""The contract as documents that other languages read: AsyncAPI, OpenAPI, a table of the events."""
