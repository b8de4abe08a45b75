-- Credit notes that name their invoice as the issuer's accounts do take its number, once there is one
-- invoice that is certainly meant: of the same régie and family, with the first name, or, where
-- several have that one, with all of them.
WITH candidates AS (
    SELECT n.id, o.number, o.piece_keys @> n.refers_to AS whole
    FROM invoice n
    JOIN invoice o
        ON o.tenant_id = n.tenant_id AND o.regie = n.regie AND o.family_id = n.family_id
       AND o.kind = 'facture' AND o.state <> 'cancelled' AND o.piece_keys @> n.refers_to[1:1]
    WHERE n.tenant_id = :tenant AND n.kind = 'avoir' AND n.origin_number = ''
      AND n.refers_to <> '{}' AND n.relation = '' AND n.state <> 'cancelled'
), certain AS (
    SELECT id, CASE WHEN count(*) = 1 THEN min(number) ELSE min(number) FILTER (WHERE whole) END
               AS number
    FROM candidates
    GROUP BY id
    HAVING count(*) = 1 OR count(*) FILTER (WHERE whole) = 1
)
UPDATE invoice n SET origin_number = c.number
FROM certain c
WHERE n.tenant_id = :tenant AND n.id = c.id
