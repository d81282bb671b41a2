"""`ecom new`: a small project with a saga of its own."""
