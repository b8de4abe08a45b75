-- Credit notes that name their invoice as the issuer's accounts do take its number, once there is one
-- invoice that is certainly meant: of the same régie and family, with the first name, or, where
-- several have that one, with all of them. None takes more off an invoice than it is.
WITH candidates AS (
    SELECT n.id, n.amount, o.id AS origin, o.piece_keys @> n.refers_to AS whole
    FROM invoice n
    JOIN invoice o
        ON o.tenant_id = n.tenant_id AND o.regie = n.regie AND o.family_id = n.family_id
       AND o.kind = 'facture' AND o.state <> 'cancelled' AND o.piece_keys @> n.refers_to[1:1]
    WHERE n.tenant_id = :tenant AND n.kind = 'avoir' AND n.origin_number = ''
      AND n.refers_to <> '{}' AND n.relation = '' AND n.state <> 'cancelled'
), certain AS (
    SELECT id, amount,
           CASE WHEN count(*) = 1 THEN min(origin) ELSE min(origin) FILTER (WHERE whole) END
               AS origin
    FROM candidates
    GROUP BY id, amount
    HAVING count(*) = 1 OR count(*) FILTER (WHERE whole) = 1
), summed AS (
    SELECT id, origin, -sum(amount) OVER (PARTITION BY origin ORDER BY id) AS cents FROM certain
)
UPDATE invoice n SET origin_number = o.number
FROM summed s
JOIN invoice o ON o.tenant_id = :tenant AND o.id = s.origin
WHERE n.tenant_id = :tenant AND n.id = s.id
  AND s.cents <= o.amount + (SELECT coalesce(sum(c.amount), 0) FROM invoice c
                             WHERE c.tenant_id = o.tenant_id AND c.regie = o.regie
                               AND c.origin_number = o.number AND c.family_id = o.family_id
                               AND c.kind = 'avoir' AND c.state <> 'cancelled')
