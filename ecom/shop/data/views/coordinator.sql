CREATE VIEW coordinations_now AS
-- How far each order's saga has come, and why it turned back if it did.
SELECT order_id, state, begun AS steps, customer, total / 100.0 AS total, reason
FROM coordinations ORDER BY length(order_id), order_id;
