WITH marked AS (
    SELECT s.rank, s.number, s.line_number,
           row_number() OVER (PARTITION BY s.regie, s.number ORDER BY s.rank) > 1 AS repeated,
           -- "1-234" and "12-34" are two households, though both are typed as 1234.
           first_value(s.family_spelling)
               OVER (PARTITION BY s.family_code ORDER BY s.rank) AS first_spelling,
           k.spelling AS known_spelling, s.family_spelling,
           i.id IS NOT NULL AND f.code <> s.family_code AND NOT EXISTS (
               -- The code of a duplicate is its family's too.
               SELECT FROM family d
               WHERE d.tenant_id = i.tenant_id AND d.code = s.family_code
                 AND d.merged_into = f.id) AS elsewhere,
           i.id IS NOT NULL AND i.content_hash <> s.content_hash AND (
               EXISTS (SELECT FROM allocation a
                       WHERE a.tenant_id = i.tenant_id AND a.invoice_id = i.id
                         AND a.reversed_at IS NULL)
               OR EXISTS (SELECT FROM payment_item p
                          WHERE p.tenant_id = i.tenant_id AND p.invoice_id = i.id AND p.live)
           ) AS paid,
           i.id IS NOT NULL AND i.content_hash <> s.content_hash AND credit_note_counted(i)
               AS counted,
           -- Numbers that begin anew each year: one year's invoice is not another's.
           i.id IS NOT NULL AND i.state <> 'cancelled' AND i.fiscal_year <> s.fiscal_year AS year,
           s.kind = 'avoir' AND o.id IS NOT NULL AND g.code <> s.family_code AND NOT EXISTS (
               SELECT FROM family d
               WHERE d.tenant_id = o.tenant_id AND d.code = s.family_code
                 AND d.merged_into = g.id) AS strange
    FROM staged_invoice s
    LEFT JOIN invoice i
        ON i.tenant_id = :tenant AND i.regie = s.regie AND i.number = s.number
    LEFT JOIN family k ON k.tenant_id = :tenant AND k.code = s.family_code
    LEFT JOIN family f ON f.tenant_id = i.tenant_id AND f.id = i.family_id
    -- What a credit note corrects.
    LEFT JOIN invoice o
        ON o.tenant_id = :tenant AND s.kind = 'avoir' AND o.regie = s.regie
       AND o.number = s.origin_number
    LEFT JOIN family g ON g.tenant_id = o.tenant_id AND g.id = o.family_id
)
SELECT number, line_number, family_spelling,
       coalesce(nullif(known_spelling, family_spelling), first_spelling) AS other_spelling,
       CASE WHEN family_spelling <> first_spelling OR family_spelling <> known_spelling
                THEN 'spelling'
            WHEN repeated THEN 'duplicate' WHEN elsewhere THEN 'family' WHEN strange THEN 'origin'
            WHEN year THEN 'year' WHEN counted THEN 'counted' ELSE 'paid' END AS problem
FROM marked
WHERE family_spelling <> first_spelling OR family_spelling <> known_spelling
   OR repeated OR elsewhere OR strange OR year OR counted OR paid
ORDER BY rank
;
