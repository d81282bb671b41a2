"""What a `Shop` is made of: its premises and crew, and the frames and books read from its files."""
