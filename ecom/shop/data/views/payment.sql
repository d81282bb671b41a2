CREATE VIEW payments_now AS
-- Each order's money, as the payment service sees it.
SELECT order_id, customer, state, amount / 100.0 AS amount, datetime(at, 'unixepoch') AS since
FROM payments ORDER BY length(order_id), order_id;

CREATE VIEW money_by_state AS
-- How much money is where.
SELECT state, count(*) AS payments, sum(amount) / 100.0 AS amount
FROM payments GROUP BY state ORDER BY state;
