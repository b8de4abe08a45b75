-- Invoices that came again unchanged, from a source that now knows their names.
SELECT s.invoice_id AS id, s.piece_keys AS names
FROM staged_invoice s
JOIN invoice i ON i.tenant_id = :tenant AND i.id = s.invoice_id
WHERE s.action = 'same' AND s.piece_keys <> '{}' AND i.piece_keys <> s.piece_keys
ORDER BY i.id
