-- The invoices that a file changes, and those that the credit notes among them correct, now and
-- before, in the order of their ids.
WITH changed AS (
    SELECT i.id, i.regie, i.origin_number AS was, s.origin_number AS becomes
    FROM invoice i
    JOIN staged_invoice s ON s.regie = i.regie AND s.number = i.number
    WHERE i.tenant_id = :tenant AND i.content_hash <> s.content_hash
)
SELECT i.id
FROM invoice i
WHERE i.tenant_id = :tenant
  AND (i.id IN (SELECT id FROM changed)
       OR i.id IN (SELECT o.id
                   FROM changed c
                   JOIN invoice o ON o.tenant_id = :tenant AND o.regie = c.regie
                                 AND o.number IN (c.was, c.becomes)
                   WHERE c.was <> '' OR c.becomes <> ''))
ORDER BY i.id
FOR UPDATE OF i
;
