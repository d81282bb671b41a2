"""RabbitMQ through pika: connections, sessions, and the frames of our own messages."""
