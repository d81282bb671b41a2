CREATE VIEW customers_told AS
-- What each customer has been told, and what is still to be sent.
SELECT order_id, customer, CASE WHEN confirmed THEN 'yes' ELSE '' END AS confirmed,
       coalesce(cancelled, '') AS cancelled_as,
       CASE WHEN refunded THEN 'yes' ELSE '' END AS refunded,
       json_array_length(mails) AS mails_to_send
FROM told ORDER BY length(order_id), order_id;
