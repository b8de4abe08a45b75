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
                   WHERE c.was <> '' OR c.becomes <> '')
       -- And those that published notes name, which waited for their names.
       OR i.id IN (SELECT o.id
                   FROM staged_invoice s
                   JOIN invoice o ON o.tenant_id = :tenant AND o.regie = s.regie
                                 AND o.number = s.number
                   JOIN invoice n ON n.tenant_id = o.tenant_id AND n.regie = o.regie
                                 AND n.family_id = o.family_id AND n.kind = 'avoir'
                                 AND n.origin_number = '' AND s.piece_keys @> n.refers_to[1:1]
                   WHERE s.piece_keys <> '{}' AND n.refers_to <> '{}'))
ORDER BY i.id
FOR UPDATE OF i
;
