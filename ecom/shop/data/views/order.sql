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
