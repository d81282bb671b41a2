"""The shop's saga with its default settings, for all that studies it."""

from ecom.sagas.choreography import choreography

SAGA = choreography()
CONTRACT = SAGA.contract
EVENTS = CONTRACT.by_key
SERVICES = CONTRACT.services
