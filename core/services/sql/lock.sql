SELECT i.id
FROM invoice i
JOIN staged_invoice s ON s.regie = i.regie AND s.number = i.number
WHERE i.tenant_id = :tenant AND i.content_hash <> s.content_hash
ORDER BY i.id
FOR UPDATE OF i
;
