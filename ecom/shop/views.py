"""Views of the shop's own tables, for whoever opens a service's database by hand.

Beside those of the machinery (`ecom.stores.views`), and in the same form: each begins with a
comment that says what it shows. Times are UTC, money is in pounds.
"""

from ecom.runtime.service import Service
from ecom.runtime.tables import MACHINERY
from ecom.stores import views
from ecom.stores.views import View

SERVICE_VIEWS = {
    "order": """
CREATE VIEW orders_with_lines AS
-- One row for each line of each order.
SELECT orders.order_id, customer, state, reason,
       json_extract(line.value, '$.sku') AS sku,
       json_extract(line.value, '$.quantity') AS quantity,
       json_extract(line.value, '$.unit_price') / 100.0 AS unit_price,
       total / 100.0 AS order_total,
       datetime(placed_at, 'unixepoch') AS placed, datetime(ended_at, 'unixepoch') AS ended
FROM orders, json_each(orders.lines) AS line ORDER BY number, line.key;

CREATE VIEW orders_by_outcome AS
-- How many orders ended how, and what they come to.
SELECT state, coalesce(reason, '') AS reason, count(*) AS orders, sum(total) / 100.0 AS total
FROM orders GROUP BY 1, 2 ORDER BY 1, 2;
""",
    "inventory": """
CREATE VIEW stock_now AS
-- What is on the shelf, held for an order under way, and sold.
SELECT sku, available AS on_the_shelf, held, committed AS sold, initial AS at_first
FROM stock ORDER BY sku;

CREATE VIEW reservations_with_units AS
-- What each order has, or had, of which product.
SELECT order_id, customer, state, unit.key AS sku, unit.value AS units,
       datetime(held_until, 'unixepoch') AS held_until, datetime(at, 'unixepoch') AS since
FROM reservations LEFT JOIN json_each(reservations.units) AS unit
ORDER BY length(order_id), order_id, sku;
""",
    "payment": """
CREATE VIEW payments_now AS
-- Each order's money, as the payment service sees it.
SELECT order_id, customer, state, amount / 100.0 AS amount, datetime(at, 'unixepoch') AS since
FROM payments ORDER BY length(order_id), order_id;

CREATE VIEW money_by_state AS
-- How much money is where.
SELECT state, count(*) AS payments, sum(amount) / 100.0 AS amount
FROM payments GROUP BY state ORDER BY state;
""",
    "notification": """
CREATE VIEW customers_told AS
-- What each customer has been told, and what is still to be sent.
SELECT order_id, customer, CASE WHEN confirmed THEN 'yes' ELSE '' END AS confirmed,
       coalesce(cancelled, '') AS cancelled_as,
       CASE WHEN refunded THEN 'yes' ELSE '' END AS refunded,
       json_array_length(mails) AS mails_to_send
FROM told ORDER BY length(order_id), order_id;
""",
    "audit": """
CREATE VIEW log AS
-- Every event, in the order in which audit consumed it.
SELECT event.n, event.time, event.order_id, event.type, event.producer,
       coalesce(cause.type, '') AS caused_by, event.body
FROM events AS event LEFT JOIN events AS cause ON cause.id = event.causation ORDER BY event.n;

CREATE VIEW sagas AS
-- Each order's saga in one line.
SELECT order_id, count(*) AS events, group_concat(type, ' → ') AS story,
       min(time) AS began, max(time) AS last_heard_of
FROM (SELECT * FROM events ORDER BY n) GROUP BY order_id ORDER BY length(order_id), order_id;
""",
}


def views_of(service: Service) -> list[View]:
    """All views of a service's database; the last one, `about`, describes tables and views."""
    return views.views_of((*service.rows, *MACHINERY), SERVICE_VIEWS[service.name])
