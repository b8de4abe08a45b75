-- A second import in one transaction starts afresh.
DROP TABLE IF EXISTS pg_temp.staged_invoice, pg_temp.staged_line
;
CREATE TEMPORARY TABLE staged_invoice (
    regie text, number text, family_code text, family_spelling text, label text, amount bigint, issued_on date,
    due_on date, fiscal_year int, payment_reference text, debtor text, address text[],
    period_start date, period_end date, direct_debit boolean, kind text, origin_number text,
    content_hash text, line_number int, document_id bigint, piece_keys text[], refers_to text[],
    relation text, former_numbers text[], former_hashes text[],
    rank bigint GENERATED ALWAYS AS IDENTITY, invoice_id bigint, action text
) ON COMMIT DROP
;
CREATE TEMPORARY TABLE staged_line (
    regie text, number text, rank int, activity text, tax_kind text, amount bigint,
    child_code text, child_label text, quantity numeric, unit_price bigint
) ON COMMIT DROP
;
