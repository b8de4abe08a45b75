-- The invoices that the credit notes of a batch correct, locked in the order of their ids as a
-- payment locks them: two who wait for one another never end.
SELECT o.id
FROM invoice a
JOIN invoice o ON o.tenant_id = a.tenant_id AND o.regie = a.regie AND o.number = a.origin_number
WHERE a.tenant_id = :tenant AND a.batch_id = :batch AND a.state = 'draft' AND a.kind = 'avoir'
ORDER BY o.id
FOR UPDATE OF o
;
