-- Invoices of which credit notes would take more than they are, if the import changes any of these.
-- Credit notes count from their draft on: once published, nothing asks again.
WITH staged AS (
    SELECT s.regie, s.number, s.kind, s.origin_number, s.amount, s.line_number,
           coalesce(m.code, s.family_code) AS family,
           i.id IS NULL OR i.state = 'cancelled' OR i.content_hash <> s.content_hash AS fresh
    FROM staged_invoice s
    LEFT JOIN invoice i ON i.tenant_id = :tenant AND i.regie = s.regie AND i.number = s.number
    LEFT JOIN family f ON f.tenant_id = :tenant AND f.code = s.family_code
    LEFT JOIN family m ON m.tenant_id = :tenant AND m.id = f.merged_into
), known AS (
    SELECT i.regie, i.number, i.kind, i.origin_number, i.amount, i.family_id
    FROM (SELECT DISTINCT regie, origin_number FROM staged WHERE kind = 'avoir') t
    JOIN invoice i ON i.tenant_id = :tenant AND i.regie = t.regie AND i.number = t.origin_number
                  AND i.kind = 'facture'
    WHERE i.state <> 'cancelled'
    UNION ALL
    SELECT i.regie, i.number, i.kind, i.origin_number, i.amount, i.family_id
    FROM (SELECT regie, number FROM staged WHERE kind = 'facture'
          UNION SELECT regie, origin_number FROM staged WHERE kind = 'avoir') t
    JOIN invoice i ON i.tenant_id = :tenant AND i.regie = t.regie AND i.origin_number = t.number
                  AND i.kind = 'avoir'
    WHERE i.state <> 'cancelled' AND i.origin_number <> ''
), piece AS (
    SELECT * FROM staged
    UNION ALL
    SELECT k.regie, k.number, k.kind, k.origin_number, k.amount, NULL, f.code, false
    FROM known k
    JOIN family f ON f.tenant_id = :tenant AND f.id = k.family_id
    WHERE NOT EXISTS (SELECT FROM staged_invoice s
                      WHERE s.regie = k.regie AND s.number = k.number)
)
SELECT o.number AS origin, o.amount, -sum(n.amount)::bigint AS credited,
       coalesce(max(n.line_number), o.line_number) AS line_number,
       coalesce(max(n.number) FILTER (WHERE n.fresh), o.number) AS number
FROM piece o
JOIN piece n ON n.kind = 'avoir' AND n.regie = o.regie AND n.origin_number = o.number
            AND n.family = o.family
WHERE o.kind = 'facture'
GROUP BY o.regie, o.number, o.amount, o.fresh, o.line_number
HAVING -sum(n.amount) > o.amount AND (o.fresh OR bool_or(n.fresh))
ORDER BY 4, 1
;
