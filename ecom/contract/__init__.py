"""What services may say to each other: envelopes, queues, and rights."""
