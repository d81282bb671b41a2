"""What became of a saga, in words and drawn; and the tables as they stood at any moment before."""
