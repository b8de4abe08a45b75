"""Files that are tables: from bytes to text, from text or a workbook to rows of cells."""
