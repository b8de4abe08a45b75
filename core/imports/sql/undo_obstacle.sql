-- Of a credit note that the books go by, the invoice is told.
SELECT CASE WHEN i.kind = 'avoir' THEN i.origin_number ELSE i.number END AS number
FROM invoice i
WHERE i.tenant_id = :tenant
  AND (i.batch_id = :batch
       OR i.id IN (SELECT invoice_id FROM invoice_change
                   WHERE tenant_id = :tenant AND batch_id = :batch))
  AND (credit_note_counted(i)
       OR EXISTS (SELECT FROM allocation a
               WHERE a.tenant_id = :tenant AND a.invoice_id = i.id)
       OR EXISTS (SELECT FROM payment_item p
                  WHERE p.tenant_id = :tenant AND p.invoice_id = i.id AND p.live)
       OR EXISTS (SELECT FROM invoice_change c
                  JOIN import_batch b ON b.tenant_id = c.tenant_id AND b.id = c.batch_id
                  WHERE c.tenant_id = :tenant AND c.invoice_id = i.id
                    AND c.batch_id > :batch AND b.undone_at IS NULL))
ORDER BY i.id
LIMIT 1
;
