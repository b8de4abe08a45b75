-- The invoices whose last day to pay here has gone by. Not what is being paid: that is for the
-- next day. Nor what a debit collects, or the trésorerie itself.
SELECT i.id AS invoice_id, NULL::integer AS days, i.amount - i.credited - i.paid AS balance
FROM invoice i
LEFT JOIN regie_calendar c ON c.tenant_id = i.tenant_id AND c.regie = i.regie
WHERE i.tenant_id = :tenant AND i.state = 'published' AND i.regie = ANY(:regies)
  AND coalesce(i.closes_on, i.due_on + c.closing_days) < :day
  AND i.kind = 'facture' AND NOT i.direct_debit AND i.amount - i.credited - i.paid > 0
  AND NOT EXISTS (SELECT FROM payment_item p
                  WHERE p.tenant_id = i.tenant_id AND p.invoice_id = i.id AND p.live)
ORDER BY i.id
;
