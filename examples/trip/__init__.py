"""A trip: a room, a car and a flight, all or none of them; begin at `events`, end at `saga`."""
