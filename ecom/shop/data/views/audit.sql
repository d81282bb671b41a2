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
