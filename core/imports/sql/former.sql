-- Invoices that an earlier version of their source stored under another number keep that number: one
-- row of the file is found for each, the very same before one that has changed.
WITH claims AS (
    SELECT s.rank, i.id, i.number,
           s.former_hashes[array_position(s.former_numbers, i.number)] AS hash,
           s.former_hashes[array_position(s.former_numbers, i.number)] = i.content_hash AS same
    FROM staged_invoice s
    JOIN invoice i
        ON i.tenant_id = :tenant AND i.regie = s.regie AND i.number = ANY (s.former_numbers)
       AND i.kind = s.kind AND i.fiscal_year = s.fiscal_year AND i.issued_on = s.issued_on
       AND (i.piece_keys = '{}' OR i.piece_keys && s.piece_keys)
    JOIN family f ON f.tenant_id = i.tenant_id AND f.id = i.family_id
    WHERE s.former_numbers <> '{}'
      AND (f.code = s.family_code OR EXISTS (
               SELECT FROM family d
               WHERE d.tenant_id = i.tenant_id AND d.code = s.family_code
                 AND d.merged_into = f.id))
      AND NOT EXISTS (SELECT FROM invoice n
                      WHERE n.tenant_id = :tenant AND n.regie = s.regie AND n.number = s.number)
), counted AS (
    SELECT *, count(*) OVER of_one AS claims, count(*) FILTER (WHERE same) OVER of_one AS known
    FROM claims
    WINDOW of_one AS (PARTITION BY id)
), chosen AS (
    SELECT * FROM counted WHERE claims = 1 OR (same AND known = 1)
), lines AS (
    UPDATE staged_line l SET number = c.number
    FROM chosen c
    JOIN staged_invoice s ON s.rank = c.rank
    WHERE l.regie = s.regie AND l.number = s.number
)
UPDATE staged_invoice s SET number = c.number, content_hash = c.hash
FROM chosen c
WHERE s.rank = c.rank
