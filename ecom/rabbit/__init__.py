"""A RabbitMQ of our own: finding one installed, and running private, rootless nodes of it."""
