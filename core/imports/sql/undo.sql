DELETE FROM invoice_line l
USING invoice_change c
WHERE l.tenant_id = :tenant AND c.tenant_id = :tenant AND c.batch_id = :batch
  AND l.invoice_id = c.invoice_id
;
UPDATE invoice i
SET (batch_id, payment_reference, fiscal_year, label, kind, origin_number, piece_keys, refers_to,
     relation, amount, issued_on, due_on, period_start, period_end, direct_debit, document_id,
     content_hash, state) =
    (SELECT o.batch_id, o.payment_reference, o.fiscal_year, o.label, o.kind, o.origin_number,
            o.piece_keys, o.refers_to, o.relation, o.amount, o.issued_on, o.due_on,
            o.period_start, o.period_end, o.direct_debit, o.document_id, o.content_hash, o.state
     -- Columns that are younger than the change keep what they hold.
     FROM jsonb_populate_record(i, c.before -> 'invoice') o)
FROM invoice_change c
WHERE i.tenant_id = :tenant AND c.tenant_id = :tenant AND c.batch_id = :batch
  AND i.id = c.invoice_id
;
INSERT INTO invoice_line (
    tenant_id, invoice_id, rank, activity, tax_kind, child_id, quantity, unit_price, amount)
SELECT :tenant, c.invoice_id, o.rank, o.activity, o.tax_kind, o.child_id, o.quantity,
       o.unit_price, o.amount
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
