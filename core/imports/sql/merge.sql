UPDATE staged_invoice s
SET invoice_id = i.id,
    -- A cancelled invoice that comes again comes back to life.
    action = CASE WHEN i.content_hash = s.content_hash AND i.state <> 'cancelled'
                  THEN 'same' ELSE 'change' END
FROM invoice i
WHERE i.tenant_id = :tenant AND i.regie = s.regie AND i.number = s.number
;
-- count families
INSERT INTO family (tenant_id, code, spelling, name, address, language, batch_id)
SELECT DISTINCT ON (family_code)
       :tenant, family_code, family_spelling, debtor, address, :language, :batch
FROM staged_invoice
ORDER BY family_code, debtor = '', rank
LIMIT :upto
ON CONFLICT (tenant_id, code) DO NOTHING
;
UPDATE family f
SET name = s.debtor, address = s.address
FROM staged_invoice s
WHERE f.tenant_id = :tenant AND f.code = s.family_code AND f.name = '' AND s.debtor <> ''
  AND f.merged_into IS NULL
;
UPDATE family f
SET spelling = s.family_spelling
FROM staged_invoice s
WHERE f.tenant_id = :tenant AND f.code = s.family_code AND f.spelling IS NULL
  AND s.family_spelling IS NOT NULL
;
-- count children
INSERT INTO child (tenant_id, code, label, batch_id)
SELECT DISTINCT ON (child_code) :tenant, child_code, child_label, :batch
FROM staged_line
WHERE child_code IS NOT NULL
ORDER BY child_code
LIMIT :upto
ON CONFLICT (tenant_id, code) DO NOTHING
;
INSERT INTO family_child (tenant_id, family_id, child_id)
SELECT DISTINCT :tenant, coalesce(f.merged_into, f.id), c.id
FROM staged_line l
JOIN staged_invoice s ON s.regie = l.regie AND s.number = l.number
JOIN family f ON f.tenant_id = :tenant AND f.code = s.family_code
JOIN child c ON c.tenant_id = :tenant AND c.code = l.child_code
ON CONFLICT (tenant_id, family_id, child_id) DO NOTHING
;
INSERT INTO invoice_change (tenant_id, batch_id, invoice_id, before)
SELECT :tenant, :batch, i.id,
       jsonb_build_object('invoice', to_jsonb(i), 'lines', coalesce(
           (SELECT jsonb_agg(to_jsonb(l) ORDER BY l.rank) FROM invoice_line l
            WHERE l.tenant_id = :tenant AND l.invoice_id = i.id), '[]'))
FROM invoice i
JOIN staged_invoice s ON s.invoice_id = i.id AND s.action = 'change'
WHERE i.tenant_id = :tenant
;
-- count changed
UPDATE invoice i
SET {kept = s.kept},
    -- Another source, or an agent's hand, knows nothing of the accounts' names.
    piece_keys = CASE WHEN s.piece_keys = '{}' THEN i.piece_keys ELSE s.piece_keys END,
    batch_id = CASE WHEN i.state = 'cancelled' THEN :batch ELSE i.batch_id END,
    state = CASE WHEN i.state = 'cancelled' THEN 'draft' ELSE i.state END
FROM staged_invoice s
WHERE i.tenant_id = :tenant AND i.id = s.invoice_id AND s.action = 'change'
;
DELETE FROM invoice_line l
USING staged_invoice s
WHERE l.tenant_id = :tenant AND l.invoice_id = s.invoice_id AND s.action = 'change'
;
-- count created
INSERT INTO invoice (
    tenant_id, family_id, batch_id, state, {invoice})
SELECT :tenant, coalesce(f.merged_into, f.id), :batch, 'draft', {s.invoice}
FROM staged_invoice s
JOIN family f ON f.tenant_id = :tenant AND f.code = s.family_code
WHERE s.invoice_id IS NULL AND s.rank > :after AND s.rank <= :upto
ORDER BY s.rank
;
INSERT INTO invoice_line (
    tenant_id, invoice_id, child_id, {line})
SELECT :tenant, i.id, c.id, {l.line}
FROM staged_line l
JOIN staged_invoice s ON s.regie = l.regie AND s.number = l.number
JOIN invoice i ON i.tenant_id = :tenant AND i.regie = l.regie AND i.number = l.number
LEFT JOIN child c ON c.tenant_id = :tenant AND c.code = l.child_code
WHERE s.action IS DISTINCT FROM 'same'
;
-- The PDFs that came again with unchanged invoices.
DELETE FROM document d
USING staged_invoice s
WHERE d.tenant_id = :tenant AND d.id = s.document_id AND s.action = 'same'
;
