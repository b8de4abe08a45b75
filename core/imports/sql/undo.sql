DELETE FROM invoice_line l
USING invoice_change c
WHERE l.tenant_id = :tenant AND c.tenant_id = :tenant AND c.batch_id = :batch
  AND l.invoice_id = c.invoice_id
;
UPDATE invoice i
SET (batch_id, state, {kept}) =
    (SELECT o.batch_id, o.state, {o.kept}
     -- Columns that are younger than the change keep what they hold.
     FROM jsonb_populate_record(i, c.before -> 'invoice') o)
FROM invoice_change c
WHERE i.tenant_id = :tenant AND c.tenant_id = :tenant AND c.batch_id = :batch
  AND i.id = c.invoice_id
;
INSERT INTO invoice_line (
    tenant_id, invoice_id, child_id, {line})
SELECT :tenant, c.invoice_id, o.child_id, {o.line}
FROM invoice_change c
CROSS JOIN LATERAL jsonb_populate_recordset(NULL::invoice_line, c.before -> 'lines') o
WHERE c.tenant_id = :tenant AND c.batch_id = :batch
;
DELETE FROM invoice_change WHERE tenant_id = :tenant AND batch_id = :batch
;
-- An attempt that came to nothing still points to its invoice: that one is only cancelled.
UPDATE invoice i
SET state = 'cancelled'
WHERE i.tenant_id = :tenant AND i.batch_id = :batch
  AND EXISTS (SELECT FROM payment_item p
              WHERE p.tenant_id = :tenant AND p.invoice_id = i.id)
;
DELETE FROM invoice_change c
USING invoice i
WHERE c.tenant_id = :tenant AND i.tenant_id = :tenant AND i.batch_id = :batch
  AND i.id = c.invoice_id AND i.state <> 'cancelled'
;
DELETE FROM invoice
WHERE tenant_id = :tenant AND batch_id = :batch AND state <> 'cancelled'
;
DELETE FROM document d
WHERE d.tenant_id = :tenant
  AND NOT EXISTS (SELECT FROM invoice i WHERE i.tenant_id = :tenant AND i.document_id = d.id)
  AND NOT EXISTS (SELECT FROM payment p WHERE p.tenant_id = :tenant AND p.receipt_id = d.id)
  AND NOT EXISTS (SELECT FROM invoice_change c
                  WHERE c.tenant_id = :tenant
                    AND (c.before -> 'invoice' ->> 'document_id')::bigint = d.id)
;
DELETE FROM child c
WHERE c.tenant_id = :tenant AND c.batch_id = :batch
  AND NOT EXISTS (SELECT FROM invoice_line l WHERE l.tenant_id = :tenant AND l.child_id = c.id)
;
-- A family that was given codes exists on paper too, so it stays.
DELETE FROM family f
WHERE f.tenant_id = :tenant AND f.batch_id = :batch
  AND NOT EXISTS (SELECT FROM invoice i WHERE i.tenant_id = :tenant AND i.family_id = f.id)
  AND NOT EXISTS (SELECT FROM access_code a WHERE a.tenant_id = :tenant AND a.family_id = f.id)
  AND NOT EXISTS (SELECT FROM payment p WHERE p.tenant_id = :tenant AND p.family_id = f.id)
;
UPDATE family SET batch_id = NULL WHERE tenant_id = :tenant AND batch_id = :batch
;
UPDATE child SET batch_id = NULL WHERE tenant_id = :tenant AND batch_id = :batch
;
