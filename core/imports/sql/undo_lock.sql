-- The invoices of a batch, and those that its credit notes correct, in one go: whoever locks
-- invoices does so in the order of their ids.
SELECT i.id
FROM invoice i
WHERE i.tenant_id = :tenant
  AND (i.batch_id = :batch
       OR i.id IN (SELECT invoice_id FROM invoice_change
                   WHERE tenant_id = :tenant AND batch_id = :batch)
       OR i.id IN (SELECT o.id
                   FROM invoice n
                   JOIN invoice o ON o.tenant_id = n.tenant_id AND o.regie = n.regie
                                 AND o.number = n.origin_number
                   WHERE n.tenant_id = :tenant AND n.batch_id = :batch AND n.kind = 'avoir'))
ORDER BY i.id
FOR UPDATE
;
