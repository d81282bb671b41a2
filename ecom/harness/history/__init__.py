"""What became of an order, told and drawn; and the tables as they stood at any moment before."""
