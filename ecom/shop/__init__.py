"""What a notebook holds: a shop, its tables, and whether its books balance."""
