UPDATE invoice SET state = 'published', published_at = :now
WHERE tenant_id = :tenant AND batch_id = :batch AND state = 'draft'
;
