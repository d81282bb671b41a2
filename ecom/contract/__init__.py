"""What services may publish and consume: events, envelopes, queues and users."""
