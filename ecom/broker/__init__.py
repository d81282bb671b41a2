"""A private RabbitMQ for whoever has none."""
