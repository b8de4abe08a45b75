-- What an agent must know of the invoices that a file brings or changes.
SELECT s.line_number, n.number, '' AS other,
       CASE WHEN n.kind = 'avoir' THEN 'alone' ELSE 'replaced' END AS notice
FROM staged_invoice s
JOIN invoice n ON n.tenant_id = :tenant AND n.regie = s.regie AND n.number = s.number
WHERE s.action IS DISTINCT FROM 'same' AND (n.kind = 'avoir' OR n.relation = 'replaces')
  AND invoice_waits(n)
UNION ALL
SELECT s.line_number, s.number, i.number, 'like'
FROM staged_invoice s
JOIN invoice i
    ON i.tenant_id = :tenant AND i.regie = s.regie AND i.number = ANY (s.former_numbers)
   AND i.kind = s.kind AND i.fiscal_year = s.fiscal_year AND i.state <> 'cancelled'
   AND (i.piece_keys = '{}' OR i.piece_keys && s.piece_keys)
JOIN family f ON f.tenant_id = i.tenant_id AND f.id = i.family_id AND f.code = s.family_code
WHERE s.former_numbers <> '{}' AND s.invoice_id IS NULL AND i.number <> s.number
ORDER BY line_number, number
