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
