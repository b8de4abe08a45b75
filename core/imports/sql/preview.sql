SELECT regie, coalesce(action, 'new') AS action, count(*) AS count, sum(amount)::bigint AS cents
FROM staged_invoice
GROUP BY regie, coalesce(action, 'new')
ORDER BY regie, action
;
SELECT i.number, c.before -> 'invoice' ->> 'label' AS label_before, i.label,
       (c.before -> 'invoice' ->> 'amount')::bigint AS cents_before, i.amount AS cents
FROM invoice_change c
JOIN invoice i ON i.tenant_id = c.tenant_id AND i.id = c.invoice_id
WHERE c.tenant_id = :tenant AND c.batch_id = :batch
ORDER BY i.id
LIMIT 50
