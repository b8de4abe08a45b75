-- What credit notes that came before a batch take off its invoices; those that come later do so by
-- themselves (the trigger of migration 0013).
UPDATE invoice i SET credited = c.cents
FROM (SELECT regie, origin_number, family_id, -sum(amount) AS cents
      FROM invoice
      WHERE tenant_id = :tenant AND kind = 'avoir' AND origin_number <> ''
        AND state IN ('published', 'handed_over')
      GROUP BY regie, origin_number, family_id) c
WHERE i.tenant_id = :tenant AND i.batch_id = :batch AND i.kind = 'facture'
  AND i.regie = c.regie AND i.number = c.origin_number AND i.family_id = c.family_id
  AND i.credited <> c.cents
;
