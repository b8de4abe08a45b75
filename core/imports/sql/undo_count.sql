SELECT count(*)
FROM invoice i
WHERE i.tenant_id = :tenant
  AND (i.batch_id = :batch
       OR i.id IN (SELECT invoice_id FROM invoice_change
                   WHERE tenant_id = :tenant AND batch_id = :batch))
;
