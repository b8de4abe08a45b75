-- A file that brings as many invoices as the town has, or more.
SELECT staged.count > :first AND staged.count >= (
           SELECT count(*)
           FROM (SELECT FROM invoice WHERE tenant_id = :tenant
                 LIMIT (SELECT count(*) + 1 FROM staged_invoice)) known)
FROM (SELECT count(*) FROM staged_invoice) staged
;
