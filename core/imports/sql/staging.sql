-- A second import in one transaction starts afresh.
DROP TABLE IF EXISTS pg_temp.staged_invoice, pg_temp.staged_line
;
CREATE TEMPORARY TABLE staged_invoice (
    {staged_invoice},
    rank bigint GENERATED ALWAYS AS IDENTITY, invoice_id bigint, action text
) ON COMMIT DROP
;
CREATE TEMPORARY TABLE staged_line (
    regie text, number text, child_code text, child_label text, {staged_line}
) ON COMMIT DROP
;
