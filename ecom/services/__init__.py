"""The five services: rows, and functions of a message. Domain only; `ecom.sagas` calls them."""
