-- The invoices to be reminded of on a day, each with the rule that applies: the latest that began,
-- as core/domain/reminders.py says. Not what is being paid, nor what was reminded of as late.
SELECT DISTINCT ON (i.id)
       i.id AS invoice_id, rule.days, i.amount - i.credited - i.paid AS balance
FROM regie_calendar c
CROSS JOIN LATERAL unnest(c.reminders) AS rule(days)
JOIN invoice i
  ON i.tenant_id = c.tenant_id AND i.regie = c.regie AND i.state = 'published'
 AND i.due_on > :day - rule.days - :grace AND i.due_on <= :day - rule.days
WHERE c.tenant_id = :tenant
  AND i.kind = 'facture' AND NOT i.direct_debit AND i.amount - i.credited - i.paid > 0
  AND (rule.days >= 0 OR i.due_on >= :day)
  AND coalesce(i.closes_on, i.due_on + c.closing_days, :day) >= :day
  AND NOT EXISTS (SELECT FROM payment_item p
                  WHERE p.tenant_id = i.tenant_id AND p.invoice_id = i.id AND p.live)
  AND NOT EXISTS (SELECT FROM reminder r
                  WHERE r.tenant_id = i.tenant_id AND r.invoice_id = i.id
                    AND r.days >= rule.days)
ORDER BY i.id, rule.days DESC
;
