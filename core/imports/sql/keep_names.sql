UPDATE invoice SET piece_keys = :names
WHERE tenant_id = :tenant AND id = :invoice
